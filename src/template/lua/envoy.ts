// What connects the rest to Envoy's Lua filter. One script for all routes, in one Lua machine of each worker: a machine for each route costs
// 0.4 MB and a millisecond of each update of the routes (measured: 1,000 routes, 460 MB). What is particular to a route is a program, as text
// in its filter context; it is prepared once and kept while it is used.
export const envoy = `
local state = "headworks.transformation"
local log = "io.solo.transformation"

-- Two generations: what is used moves to the young one, and what was not used for a whole generation goes.
local young, old, size = {}, {}, 0
local function stageOf(text)
  local stage = young[text]
  if stage then return stage end
  stage = old[text] or M.ready(text)
  if size > 4000000 then young, old, size = {}, young, 0 end
  young[text] = stage
  size = size + #text
  return stage
end

-- One for each pattern, for the life of the program; patterns may come from messages.
local function randomOf(stage)
  return function(pattern)
    if stage.randoms == nil or stage.patterns > 1000 then stage.randoms, stage.patterns = {}, 0 end
    if stage.randoms[pattern] == nil then
      local source = io.open("/dev/urandom", "rb")
      local bytes = source and source:read(16) or ""
      if source then source:close() end
      if #bytes < 16 then for i = 1, 16 do bytes = bytes .. char(math.random(0, 255)) end end
      stage.randoms[pattern] = encode64(sub(bytes, 1, 16), standard, "")
      stage.patterns = stage.patterns + 1
    end
    return stage.randoms[pattern]
  end
end

-- Tables of Envoy's metadata have no kinds: a list is what counts from 1.
local function fromLua(value)
  if type(value) == "number" then return float(value) end
  if type(value) ~= "table" then return value end
  local isList, result = #value > 0, {}
  for key, each in pairs(value) do result[isList and key or tostring(key)] = fromLua(each) end
  return isList and array(result) or object(result)
end
local function toLua(value)
  if value == null then return nil end
  if V.isNumber(value) then return V.float(value) end
  if type(value) ~= "table" then return value end
  local result = {}
  for key, each in pairs(value) do result[key] = toLua(each) end
  return result
end

local function around(handle, headers, isResponse, stage)
  local asked = headers
  if isResponse then asked = handle:requestHeaders() end
  return {
    header = function(name) return headers:getAtIndex(name, 0) or "" end,
    requestHeader = function(name) return asked and asked:getAtIndex(name, 0) or "" end,
    env = function(name) return os.getenv(name) or "" end,
    dynamicMetadata = function(namespace, path)
      local value = handle:streamInfo():dynamicMetadata():get(namespace)
      for _, step in ipairs(path) do
        if type(value) ~= "table" then return nil end
        value = value[step]
      end
      return fromLua(value)
    end,
    random = randomOf(stage),
  }
end

local function isWebSocket(headers) return lower(headers:get("upgrade") or "") == "websocket" end

local function refuse(handle, buffer, isResponse, fault)
  local why = "bad request: " .. (type(fault) == "table" and fault.why or "the template failed")
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(log, "error", why)
  local side = isResponse and "response" or "request"
  handle:logWarn("transformation of the " .. side .. " failed on route " .. tostring(handle:streamInfo():routeName()) .. ": " .. (type(fault) == "table" and fault.why or tostring(fault)))
  pcall(function() handle:stats():counter("transformation." .. side .. "_error"):inc() end)
  if not isResponse then
    -- Our own answer is not transformed. Nothing of a script runs after respond().
    metadata:set(state, handle:filterContext():get("stage") or "regular", -1)
    return handle:respond({[":status"] = "400", ["content-type"] = "text/plain"}, why)
  end
  buffer = buffer or handle:body(true)
  local headers = handle:headers()
  headers:replace(":status", "400")
  headers:remove("content-type")
  headers:remove("content-encoding")
  if buffer then buffer:setBytes(why) end
end

local function logged(handle, when, headers, body)
  local lines = {}
  for name, value in pairs(headers) do lines[#lines + 1] = name .. ": " .. value end
  handle:logInfo("headers " .. when .. " transformation: " .. concat(lines, ", "))
  if body then handle:logInfo("body " .. when .. " transformation: " .. body) end
end

-- Returns false when the message was refused.
local function change(handle, stage, what, isResponse)
  local buffer, body = nil, ""
  local begun = handle:headers()
  -- What follows the upgrade to a WebSocket is no body, and has no end.
  local upgrade = what.needs and isWebSocket(isResponse and handle:requestHeaders() or begun)
  if what.needs and not upgrade then
    buffer = handle:body()
    if buffer and buffer:length() > 0 then body = buffer:getBytes(0, buffer:length()) end
  end
  -- Only now: Envoy forgets wrappers while it waits for the body.
  local headers = handle:headers()
  if stage.logs then logged(handle, "before", headers, what.needs and body) end
  local written
  local ok, fault = pcall(function()
    if what.envelope then
      local list = {}
      for name, value in pairs(headers) do list[#list + 1] = {name, value} end
      written = M.envelope(what.envelope, list, body)
      headers:replace("content-type", "application/json")
      return
    end
    local done = M.render(what, body, around(handle, headers, isResponse, stage))
    written = done.body
    for _, each in ipairs(done.metadata) do handle:streamInfo():dynamicMetadata():set(each.namespace, each.key, toLua(each.value)) end
    M.apply(what, done, headers)
  end)
  if not ok then
    refuse(handle, buffer, isResponse, fault)
    return false
  end
  local status = isResponse and handle:headers():get(":status")
  local isBare = isResponse and not buffer and (status == "204" or status == "304" or handle:requestHeaders():get(":method") == "HEAD")
  if written and not upgrade and not isBare then
    if buffer or written ~= "" then
      buffer = buffer or handle:body(true)
      if buffer then buffer:setBytes(written) end
    end
    if written == "" then handle:headers():remove("content-type") end
  end
  if stage.logs then logged(handle, "after", handle:headers(), written) end
  return true
end

local function valuesOf(headers)
  return function(name)
    local count = headers:getNumValues(name)
    if count == 0 then return nil end
    if count == 1 then return headers:getAtIndex(name, 0) end
    local values = {}
    for i = 1, count do values[i] = headers:getAtIndex(name, i - 1) end
    return concat(values, ",")
  end
end

local function onRequest(handle)
  local context = handle:filterContext()
  local text = context:get("program")
  if text == nil then return end
  local stage = stageOf(text)
  local get = valuesOf(handle:headers())
  local chosen, entry = 0, nil
  for i, each in ipairs(stage.entries) do
    if M.requestFits(each.match, get) then chosen, entry = i, each break end
  end
  if stage.tellsResponse then
    local metadata = handle:streamInfo():dynamicMetadata()
    local name = context:get("stage") or "regular"
    metadata:set(state, name, chosen)
    -- The response may come back under another route.
    if entry and entry.clearsRoute then metadata:set(state, name .. ".program", text) end
  end
  if entry == nil then return end
  if entry.request and not change(handle, stage, entry.request, false) then return end
  if entry.clearsRoute then handle:clearRouteCache() end
end

local function onResponse(handle)
  local context = handle:filterContext()
  local name = context:get("stage") or "regular"
  local text = context:get("program")
  local remembered = handle:streamInfo():dynamicMetadata():get(state)
  -- The request did not come this far: the response is that of a filter before.
  if remembered == nil or remembered[name] == nil or remembered[name] < 0 then return end
  text = remembered[name .. ".program"] or text
  if text == nil then return end
  local stage = stageOf(text)
  local entry = stage.entries[remembered[name]]
  local what = entry and entry.response
  if what == nil then
    local get = valuesOf(handle:headers())
    for _, each in ipairs(stage.responses or {}) do
      if headersFit(each.headers, get) then what = each.response break end
    end
  end
  if what then change(handle, stage, what, true) end
end

-- A fault of this script must let nothing pass unchanged.
local function failed(handle, fault)
  handle:logErr("transformation: " .. tostring(type(fault) == "table" and fault.why or fault))
end
function envoy_on_request(handle)
  local ok, fault = pcall(onRequest, handle)
  if ok then return end
  failed(handle, fault)
  handle:respond({[":status"] = "500"}, "the transformation failed")
end
function envoy_on_response(handle)
  local ok, fault = pcall(onResponse, handle)
  if ok then return end
  failed(handle, fault)
  handle:headers():replace(":status", "500")
  local buffer = handle:body(true)
  if buffer then buffer:setBytes("the transformation failed") end
end
`;
