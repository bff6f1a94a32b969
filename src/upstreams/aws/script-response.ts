// What a script makes of Lambda's answer, in Lua.
import type { ResponseForm } from "./scripts.ts";

export function onResponse(form: ResponseForm): string {
  return `
function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get("x-amz-function-error") then
    headers:replace(":status", "504")
    return
  end
${{ asIs: "", alb: albBody, apiGateway: apiGatewayBody }[form]}end
`;
}

const albBody = `  if tonumber(headers:get(":status")) >= 300 then return end
  local body = handle:body(true)
  headers = handle:headers()
  local answer = read_json(body:getBytes(0, body:length()))
  local function fail()
    headers:replace(":status", "500")
    headers:remove("content-type")
    body:setBytes("")
  end
  if not answer or answer.kind ~= "object" then return fail() end
  local fields = answer.fields
  local status, encoded, text = fields.statusCode, fields.isBase64Encoded, fields.body
  if status and not (status.kind == "number" and valid_status(status.raw)) then return fail() end
  if encoded and encoded.kind ~= "boolean" then return fail() end
  if text and text.kind ~= "string" then return fail() end
  local add = {}
  if fields.headers then
    if fields.headers.kind ~= "object" then return fail() end
    for _, name in ipairs(fields.headers.names) do
      local value = fields.headers.fields[name]
      if value.kind ~= "string" then return fail() end
      add[#add + 1] = {name, value.value}
    end
  end
  if fields.multiValueHeaders then
    if fields.multiValueHeaders.kind ~= "object" then return fail() end
    for _, name in ipairs(fields.multiValueHeaders.names) do
      local list = fields.multiValueHeaders.fields[name]
      if list.kind ~= "array" then return fail() end
      for _, value in ipairs(list.items) do
        if value.kind ~= "string" then return fail() end
        add[#add + 1] = {name, value.value}
      end
    end
  end
  local payload = text and text.value or ""
  if encoded and encoded.raw == "true" then
    payload = from_base64(payload)
    if not payload then return fail() end
  end
  headers:remove("content-type")
  for _, pair in ipairs(add) do add_header(headers, pair[1], pair[2]) end
  if status then headers:replace(":status", status.raw) end
  body:setBytes(payload)
`;

const apiGatewayBody = `  local body = handle:body(true)
  headers = handle:headers()
  local own_status = headers:get(":status")
  local function clear()
    local names = {}
    for name in pairs(headers) do names[#names + 1] = name end
    for _, name in ipairs(names) do
      if string.sub(name, 1, 1) ~= ":" and name ~= "content-length" and name ~= "transfer-encoding" then headers:remove(name) end
    end
  end
  local function fail(message)
    clear()
    headers:replace(":status", "500")
    headers:replace("content-type", "text/plain")
    headers:replace("x-amzn-errortype", "500")
    body:setBytes("500: " .. message)
  end
  if tonumber(own_status) >= 300 then
    fail("Lambda answered with status " .. own_status)
    headers:replace("x-envoygloo-lambda-statuscode", own_status)
    if own_status == "429" then headers:replace("x-envoygloo-lambda-statusreason", "Too Many Requests") end
    return
  end
  local answer = read_json(body:getBytes(0, body:length()))
  if not answer then return fail("failed to parse response body as JSON") end
  if answer.kind ~= "object" then return fail("response body is no JSON object") end
  local fields = answer.fields
  local function text_of(value) return value.kind == "string" and value.value or write_json(value) end
  local status = "200"
  if fields.statusCode then
    if fields.statusCode.kind ~= "number" then return fail("cannot parse non unsigned integer status code") end
    if not valid_status(fields.statusCode.raw) then return fail("invalid status code") end
    status = fields.statusCode.raw
  end
  local add, joined, order = {}, {}, {}
  if fields.headers then
    if fields.headers.kind ~= "object" then return fail("invalid headers object") end
    for _, name in ipairs(fields.headers.names) do add[#add + 1] = {name, text_of(fields.headers.fields[name])} end
  end
  if fields.multiValueHeaders then
    if fields.multiValueHeaders.kind ~= "object" then return fail("invalid multi headers object") end
    for _, name in ipairs(fields.multiValueHeaders.names) do
      local list = fields.multiValueHeaders.fields[name]
      if list.kind ~= "array" then return fail("invalid multi header value object") end
      for _, value in ipairs(list.items) do add[#add + 1] = {name, text_of(value)} end
    end
  end
  local payload = fields.body and text_of(fields.body) or "{}"
  local encoded = fields.isBase64Encoded
  if encoded and encoded.raw == "true" then
    payload = from_base64(payload)
    if not payload then return fail("the body is not Base64") end
  end
  clear()
  for _, pair in ipairs(add) do
    local name = string.lower(pair[1])
    if joined[name] and name ~= "set-cookie" then joined[name] = joined[name] .. "," .. pair[2]
    elseif name == "set-cookie" then add_header(headers, name, pair[2])
    else joined[name] = pair[2]; order[#order + 1] = name end
  end
  for _, name in ipairs(order) do add_header(headers, name, joined[name]) end
  headers:replace(":status", status)
  body:setBytes(payload)
`;

/** What an answer may set. */
export const answerHeaders = `local function valid_status(raw) return string.match(raw, "^[2-5]%d%d$") ~= nil end
local connection = {connection = true, ["content-length"] = true, ["transfer-encoding"] = true, upgrade = true, ["keep-alive"] = true}
local function add_header(headers, name, value)
  name = string.lower(name)
  if string.find(name, "^[%w!#$%%&'*+.^_\`|~-]+$") and not string.find(value, "[%z\\r\\n]") and not connection[name] then
    headers:add(name, value)
  end
end
`;
