// What a script does with a request on its way to Lambda, in Lua.
import type { RequestForm } from "./scripts.ts";

/** The event: all of the request but its body. Last values where names repeat, and all of them beside. */
export const queryReader = `
local function unescape(text)
  text = string.gsub(text, "+", " ")
  return (string.gsub(text, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end
local function collect(all, order, name, value)
  if not all[name] then all[name] = {}; order[#order + 1] = name end
  table.insert(all[name], value)
end
local function single_and_multi(all, order)
  local repeated = {}
  for _, name in ipairs(order) do if #all[name] > 1 then repeated[#repeated + 1] = name end end
  local last = write_map(all, order, function(list) return quote(list[#list]) end)
  return last, write_map(all, repeated, write_list)
end
local function event_of(headers, head)
  local all, order = {}, {}
  for name, value in pairs(headers) do collect(all, order, name, value) end
  local single, multi = single_and_multi(all, order)
  local path, query = string.match(head.path, "^([^?]*)%??(.*)$")
  local parameters, names = {}, {}
  for pair in string.gmatch(query, "[^&]+") do
    local name, value = string.match(pair, "^([^=]*)=?(.*)$")
    collect(parameters, names, unescape(name), unescape(value))
  end
  local single_query, multi_query = single_and_multi(parameters, names)
  return '"headers":' .. single .. ',"httpMethod":' .. quote(head.method) .. ',"multiValueHeaders":' .. multi
    .. ',"multiValueQueryStringParameters":' .. multi_query .. ',"path":' .. quote(path)
    .. ',"queryString":' .. quote(query) .. ',"queryStringParameters":' .. single_query
end
`;

export function onRequest(form: RequestForm, tellsOrigin: boolean): string {
  const origin = `  headers:replace("x-envoy-original-path", head.path)
  headers:replace("x-envoy-original-method", head.method)
`;
  return `
local namespace = "headworks.aws_lambda"

local function head_of(handle)
  local headers = handle:headers()
  local metadata = handle:streamInfo():dynamicMetadata()
  local kept = metadata:get(namespace)
  if kept and kept.path then return kept end
  local head = {path = headers:get(":path") or "/", method = headers:get(":method") or "GET"}
  ${form === "event" ? 'head.event = event_of(headers, head)\n  metadata:set(namespace, "event", head.event)' : ""}
  metadata:set(namespace, "path", head.path)
  metadata:set(namespace, "method", head.method)
  return head
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local head = head_of(handle)
${tellsOrigin ? origin : ""}${
  form === "event"
    ? `  local body = handle:body(true)
  headers = handle:headers()
  local text = body:length() > 0 and (',"body":' .. quote(body:getBytes(0, body:length()))) or ""
  body:setBytes("{" .. head.event .. text .. "}")
  headers:replace("content-type", "application/json")
`
    : ""
}end
`;
}
