// JSON and Base64 in Lua, for the scripts of Lambda calls.

/** Strings, maps and lists of strings as JSON. */
export const jsonWriter = `
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

/** JSON → nodes that keep their source text: numbers and nested values are passed on as they were written. */
export const jsonReader = `
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
`;

/** Without spaces, keys in order; numbers as they were written. */
export const nodeWriter = `
local function write_json(node)
  if node.kind == "string" then return quote(node.value) end
  if node.kind == "object" then return write_map(node.fields, node.names, write_json) end
  if node.kind ~= "array" then return node.raw end
  local parts = {}
  for i, each in ipairs(node.items) do parts[i] = write_json(each) end
  return "[" .. table.concat(parts, ",") .. "]"
end
`;

export const base64Reader = `
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
