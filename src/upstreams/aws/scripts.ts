// What Envoy's aws_lambda filter does not do, as Lua for stock Envoy: the forms of requests and responses that Gloo's own filter
// knew, the 500 of a route without function, the 504 of a function that failed. Texts only; which one a route uses is its `name`.
//
// What `headers()` gave is no longer valid once `body()` has waited, so it is asked for again after it.
// Each script is whole: Envoy gives each its own interpreter. They run in the upstream filters of the cluster, once for each attempt;
// the request's head is kept in dynamic metadata, because a second attempt sees the one that the first has made.

/** How the payload is made: the body as it is, or an event that holds the whole request. */
export type RequestForm = "body" | "event";
/** What becomes of the answer: it is passed on, or is a description of a response in the form of a load balancer or an API gateway. */
export type ResponseForm = "asIs" | "alb" | "apiGateway";

export const requestForms: readonly RequestForm[] = ["body", "event"];
export const responseForms: readonly ResponseForm[] = ["asIs", "alb", "apiGateway"];

export function scriptName(request: RequestForm, response: ResponseForm): string {
  return `${request}-${response}`;
}

/** Stands for the account where an Upstream names none: aws_lambda wants ARNs, AWS takes plain names. */
export const noAccount = "000000000000";

/** Answers for routes that name no function. */
export const noFunctionScript = `function envoy_on_request(handle)
  handle:respond({[":status"] = "500", ["content-type"] = "text/plain"}, "no function is named for this route")
end
`;

/** Runs after aws_lambda: its signature, made with a placeholder, goes; a function without an account is called by its name. */
export const callScript = `function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("authorization")
  headers:remove("x-amz-security-token")
  headers:replace("x-amz-log-type", "None")
  local name, qualifier = string.match(headers:get(":path"), ":${noAccount}:function:([^:/]+):?([^:/]*)/invocations$")
  if name then
    local query = qualifier ~= "" and ("?Qualifier=" .. qualifier) or ""
    headers:replace(":path", "/2015-03-31/functions/" .. name .. "/invocations" .. query)
  end
end
`;

/** `tellsOrigin`: functions learn the original path and method from headers. */
export function formScript(request: RequestForm, response: ResponseForm, tellsOrigin: boolean): string {
  const needsWriter = request === "event" || response === "apiGateway";
  const needsReader = response !== "asIs";
  return [
    needsWriter ? jsonWriter : "",
    request === "event" ? queryReader : "",
    needsReader ? jsonReader + base64Reader : "",
    response === "apiGateway" ? nodeWriter : "",
    onRequest(request, tellsOrigin),
    onResponse(response),
  ].join("");
}

function onRequest(form: RequestForm, tellsOrigin: boolean): string {
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

function onResponse(form: ResponseForm): string {
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

const jsonWriter = `
local escapes = {['"'] = '\\\\"', ["\\\\"] = "\\\\\\\\", ["\\b"] = "\\\\b", ["\\f"] = "\\\\f", ["\\n"] = "\\\\n", ["\\r"] = "\\\\r", ["\\t"] = "\\\\t"}
local function quote(text)
  return '"' .. string.gsub(text, '[%c"\\\\\\127]', function(c)
    return escapes[c] or string.format("\\\\u%04x", string.byte(c))
  end) .. '"'
end
local function write_map(map, order, write)
  local parts = {}
  table.sort(order)
  for _, name in ipairs(order) do parts[#parts + 1] = quote(name) .. ":" .. write(map[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end
local function write_list(list)
  local parts = {}
  for i, each in ipairs(list) do parts[i] = quote(each) end
  return "[" .. table.concat(parts, ",") .. "]"
end
`;

/** The event: all of the request but its body. Last values where names repeat, and all of them beside. */
const queryReader = `
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

/** JSON → nodes that keep their source text: numbers and nested values are passed on as they were written. */
const jsonReader = `
local read_value
local function skip(text, at) return string.find(text, "[^ \\t\\r\\n]", at) or #text + 1 end
local function utf8_of(code)
  if code < 128 then return string.char(code) end
  if code < 2048 then return string.char(192 + math.floor(code / 64), 128 + code % 64) end
  if code < 65536 then return string.char(224 + math.floor(code / 4096), 128 + math.floor(code / 64) % 64, 128 + code % 64) end
  return string.char(240 + math.floor(code / 262144), 128 + math.floor(code / 4096) % 64, 128 + math.floor(code / 64) % 64, 128 + code % 64)
end
local plain = {['"'] = '"', ["\\\\"] = "\\\\", ["/"] = "/", b = "\\b", f = "\\f", n = "\\n", r = "\\r", t = "\\t"}
local function read_string(text, at)
  local parts, i = {}, at + 1
  while true do
    local stop = string.find(text, '["\\\\%c]', i)
    if not stop then error("json") end
    parts[#parts + 1] = string.sub(text, i, stop - 1)
    local c = string.sub(text, stop, stop)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c == "\\127" then parts[#parts + 1] = c; i = stop + 1
    elseif c ~= "\\\\" then error("json")
    else
      local kind = string.sub(text, stop + 1, stop + 1)
      if kind == "u" then
        local hex = string.match(text, "^%x%x%x%x", stop + 2)
        if not hex then error("json") end
        local code = tonumber(hex, 16)
        i = stop + 6
        if code >= 55296 and code <= 56319 then
          local low = string.match(text, "^\\\\u(%x%x%x%x)", i)
          low = low and tonumber(low, 16)
          if not low or low < 56320 or low > 57343 then error("json") end
          code = 65536 + (code - 55296) * 1024 + (low - 56320)
          i = i + 6
        elseif code >= 56320 and code <= 57343 then error("json") end
        parts[#parts + 1] = utf8_of(code)
      elseif plain[kind] then parts[#parts + 1] = plain[kind]; i = stop + 2
      else error("json") end
    end
  end
end
local function read_list(text, at, depth, close, each)
  at = skip(text, at + 1)
  if string.sub(text, at, at) == close then return at + 1 end
  while true do
    at = skip(text, each(at))
    local c = string.sub(text, at, at)
    if c == close then return at + 1 end
    if c ~= "," then error("json") end
    at = skip(text, at + 1)
  end
end
function read_value(text, at, depth)
  if depth > 64 then error("json") end
  local c = string.sub(text, at, at)
  local node, stop
  if c == "{" then
    node = {kind = "object", fields = {}, names = {}}
    stop = read_list(text, at, depth, "}", function(i)
      if string.sub(text, i, i) ~= '"' then error("json") end
      local name, after = read_string(text, i)
      after = skip(text, after)
      if string.sub(text, after, after) ~= ":" then error("json") end
      local value, past = read_value(text, skip(text, after + 1), depth + 1)
      if not node.fields[name] then node.names[#node.names + 1] = name end
      node.fields[name] = value
      return past
    end)
  elseif c == "[" then
    node = {kind = "array", items = {}}
    stop = read_list(text, at, depth, "]", function(i)
      local value, past = read_value(text, i, depth + 1)
      node.items[#node.items + 1] = value
      return past
    end)
  elseif c == '"' then
    node = {kind = "string"}
    node.value, stop = read_string(text, at)
  else
    local word = string.match(text, "^%a+", at)
    if word == "true" or word == "false" then node = {kind = "boolean"}
    elseif word == "null" then node = {kind = "null"}
    elseif word then error("json")
    else
      word = string.match(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at)
      if not word or not tonumber(word) then error("json") end
      node = {kind = "number"}
    end
    stop = at + #word
  end
  node.raw = string.sub(text, at, stop - 1)
  return node, stop
end
local function read_json(text)
  local ok, node = pcall(function()
    local value, stop = read_value(text, skip(text, 1), 0)
    if skip(text, stop) <= #text then error("json") end
    return value
  end)
  return ok and node or nil
end
local function valid_status(raw) return string.match(raw, "^[2-5]%d%d$") ~= nil end
local connection = {connection = true, ["content-length"] = true, ["transfer-encoding"] = true, upgrade = true, ["keep-alive"] = true}
local function add_header(headers, name, value)
  name = string.lower(name)
  if string.find(name, "^[%w!#$%%&'*+.^_\`|~-]+$") and not string.find(value, "[%z\\r\\n]") and not connection[name] then
    headers:add(name, value)
  end
end
`;

/** Without spaces, keys in order; numbers as they were written. */
const nodeWriter = `
local function write_json(node)
  if node.kind == "string" then return quote(node.value) end
  if node.kind == "object" then return write_map(node.fields, node.names, write_json) end
  if node.kind ~= "array" then return node.raw end
  local parts = {}
  for i, each in ipairs(node.items) do parts[i] = write_json(each) end
  return "[" .. table.concat(parts, ",") .. "]"
end
`;

const base64Reader = `
local digits = {}
for i = 1, 64 do
  digits[string.byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", i)] = i - 1
end
local function from_base64(text)
  text = string.gsub(text, "=+$", "")
  local out, bits, size = {}, 0, 0
  for i = 1, #text do
    local digit = digits[string.byte(text, i)]
    if not digit then return nil end
    bits, size = bits * 64 + digit, size + 6
    if size >= 8 then
      size = size - 8
      local power = 2 ^ size
      out[#out + 1] = string.char(math.floor(bits / power))
      bits = bits % power
    end
  end
  return table.concat(out)
end
`;
