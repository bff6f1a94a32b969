// json.ts in Lua.
export const json = String.raw`
local function isUtf8(text)
  local at = find(text, "[\128-\255]")
  while at do
    local next = match(text, "^[\194-\223][\128-\191]()", at) or match(text, "^\224[\160-\191][\128-\191]()", at)
      or match(text, "^[\225-\236\238\239][\128-\191][\128-\191]()", at) or match(text, "^\237[\128-\159][\128-\191]()", at)
      or match(text, "^\240[\144-\191][\128-\191][\128-\191]()", at) or match(text, "^[\241-\243][\128-\191][\128-\191][\128-\191]()", at)
      or match(text, "^\244[\128-\143][\128-\191][\128-\191]()", at)
    if not next then return false end
    at = find(text, "[\128-\255]", next)
  end
  return true
end
J.isUtf8 = isUtf8

local function utf8(code)
  if code < 0x80 then return char(code) end
  local function low(n) return 0x80 + floor(code / n) % 64 end
  if code < 0x800 then return char(0xC0 + floor(code / 64), low(1)) end
  if code < 0x10000 then return char(0xE0 + floor(code / 4096), low(64), low(1)) end
  return char(0xF0 + floor(code / 262144), low(4096), low(64), low(1))
end

local function fits(text)
  local below, d = digits(text)
  local limit = below and "9223372036854775808" or "18446744073709551615"
  return #d < #limit or (#d == #limit and d <= limit)
end
local function numberOf(text, isFloat)
  local value = tonumber(text)
  if not isFloat then
    if isSafe(value) then return value + 0 end
    if fits(text) then return setmetatable({text = text, f = value}, Big) end
  end
  if value == huge or value == -huge then return nil end
  return float(value)
end

local escapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ["\""] = "\"", ["\\"] = "\\", ["/"] = "/"}
function J.parse(text)
  local at = 1
  local value
  local function invalid() fail("this is not valid JSON, at byte " .. at) end
  local function unit()
    local digits, next = match(text, "^\\u(%x%x%x%x)()", at)
    if not digits then invalid() end
    at = next
    return tonumber(digits, 16)
  end
  local function escape()
    local e = sub(text, at + 1, at + 1)
    if e ~= "u" then
      if not escapes[e] then invalid() end
      at = at + 2
      return escapes[e]
    end
    local code = unit()
    if code >= 0xDC00 and code < 0xE000 then invalid() end
    if code >= 0xD800 and code < 0xDC00 then
      local low = unit()
      if low < 0xDC00 or low >= 0xE000 then invalid() end
      code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00)
    end
    return utf8(code)
  end
  local function str()
    at = at + 1
    local parts, n
    while true do
      local stop = find(text, "[\"\\%z\1-\31]", at) or #text + 1
      local chunk = sub(text, at, stop - 1)
      if find(chunk, "[\128-\255]") and not isUtf8(chunk) then invalid() end
      at = stop
      local c = byte(text, stop)
      if c == 34 then
        at = stop + 1
        if not parts then return chunk end
        parts[n + 1] = chunk
        return concat(parts)
      end
      if c ~= 92 then invalid() end
      if not parts then parts, n = {}, 0 end
      parts[n + 1] = chunk
      parts[n + 2] = escape()
      n = n + 2
    end
  end
  local function goesOn(closing)
    at = match(text, "^[ \t\r\n]*()", at)
    local c = byte(text, at)
    if c ~= closing and c ~= 44 then invalid() end
    at = at + 1
    return c == 44
  end
  local function word(name, constant)
    if sub(text, at, at + #name - 1) ~= name then invalid() end
    at = at + #name
    return constant
  end
  function value(depth)
    if depth > maxDepth then fail("this JSON is nested too deeply") end
    at = match(text, "^[ \t\r\n]*()", at)
    local c = byte(text, at)
    if c == 34 then return str() end
    if c == 123 then
      local result = object()
      at = match(text, "^[ \t\r\n]*()", at + 1)
      if byte(text, at) == 125 then at = at + 1 return result end
      repeat
        at = match(text, "^[ \t\r\n]*()", at)
        if byte(text, at) ~= 34 then invalid() end
        local key = str()
        at = match(text, "^[ \t\r\n]*()", at)
        if byte(text, at) ~= 58 then invalid() end
        at = at + 1
        result[key] = value(depth + 1)
      until not goesOn(125)
      return result
    end
    if c == 91 then
      local result, n = array(), 0
      at = match(text, "^[ \t\r\n]*()", at + 1)
      if byte(text, at) == 93 then at = at + 1 return result end
      repeat
        n = n + 1
        result[n] = value(depth + 1)
      until not goesOn(93)
      return result
    end
    if c == 116 then return word("true", true) end
    if c == 102 then return word("false", false) end
    if c == 110 then return word("null", null) end
    local whole, stop = match(text, "^(%-?[1-9]%d*)()", at)
    if not whole then whole, stop = match(text, "^(%-?0)()", at) end
    if not whole then invalid() end
    local fraction, after = match(text, "^(%.%d+)()", stop)
    local exponent, last = match(text, "^([eE][+-]?%d+)()", after or stop)
    local begin = at
    at = last or after or stop
    local number = numberOf(sub(text, begin, at - 1), fraction ~= nil or exponent ~= nil)
    if number == nil then fail("this number is too large, at byte " .. begin) end
    return number
  end
  if sub(text, 1, 3) == "\239\187\191" then at = 4 end
  local result = value(0)
  at = match(text, "^[ \t\r\n]*()", at)
  if at <= #text then invalid() end
  return result
end

local short = {["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\""] = "\\\"", ["\\"] = "\\\\"}
local function escapeOf(c) return short[c] or format("\\u%04x", byte(c)) end
function J.escaped(text)
  if find(text, "[\128-\255]") and not isUtf8(text) then fail("a text is not valid UTF-8") end
  if not find(text, "[%z\1-\31\"\\]") then return text end
  return (gsub(text, "[%z\1-\31\"\\]", escapeOf))
end
local function write(value, out, n)
  local kind = type(value)
  if kind == "string" then out[n + 1] = "\"" .. J.escaped(value) .. "\"" return n + 1 end
  if kind == "number" then out[n + 1] = format("%.0f", value) return n + 1 end
  if kind == "boolean" then out[n + 1] = tostring(value) return n + 1 end
  if value == null then out[n + 1] = "null" return n + 1 end
  local meta = getmetatable(value)
  if meta == Float then out[n + 1] = V.formatFloat(value.f) return n + 1 end
  if meta == Big then out[n + 1] = value.text return n + 1 end
  if meta == Array then
    n = n + 1
    out[n] = "["
    for i = 1, #value do
      if i > 1 then n = n + 1 out[n] = "," end
      n = write(value[i], out, n)
    end
    out[n + 1] = "]"
    return n + 1
  end
  n = n + 1
  out[n] = "{"
  local keys = V.keys(value)
  for i = 1, #keys do
    out[n + 1] = (i > 1 and ",\"" or "\"") .. J.escaped(keys[i]) .. "\":"
    n = write(value[keys[i]], out, n + 1)
  end
  out[n + 1] = "}"
  return n + 1
end
function J.dump(value)
  local out = {}
  write(value, out, 0)
  return concat(out)
end
`;
