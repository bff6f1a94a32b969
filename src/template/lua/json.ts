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
-- LuaJIT reads no exponent of ten digits.
local function floatOf(text)
  local value = tonumber(text)
  if value ~= nil then return value end
  local sign, mantissa, below = match(text, "^([+-]?)([%d.]+)[eE]([+-]?)")
  if below ~= "-" and find(mantissa, "[1-9]") then value = huge else value = 0 end
  return sign == "-" and -1 * value or value
end
local function numberOf(text, isFloat)
  local value = floatOf(text)
  if not isFloat then
    if isSafe(value) then return value + 0 end
    if fits(text) then return setmetatable({text = text, f = value}, Big) end
  end
  if value == huge or value == -huge then return nil end
  return float(value)
end

local escapes = {[98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r", [116] = "\t", [34] = "\"", [92] = "\\", [47] = "/"}
local isDigit, isHex = {}, {}
for code = 48, 57 do isDigit[code], isHex[code] = true, code - 48 end
for code = 0, 5 do isHex[65 + code], isHex[97 + code] = 10 + code, 10 + code end

-- Loops over bytes: LuaJIT compiles those, and does not compile patterns.
function J.parse(text)
  local at, length = 1, #text
  local value
  local function invalid() fail("this is not valid JSON, at byte " .. at) end
  local function skip()
    local c = byte(text, at)
    while c == 32 or c == 10 or c == 13 or c == 9 do
      at = at + 1
      c = byte(text, at)
    end
    return c
  end
  local function unit()
    if byte(text, at) ~= 92 or byte(text, at + 1) ~= 117 then invalid() end
    local code = 0
    for i = at + 2, at + 5 do
      local digit = isHex[byte(text, i) or 0]
      if not digit then invalid() end
      code = code * 16 + digit
    end
    at = at + 6
    return code
  end
  local function escape()
    local e = byte(text, at + 1)
    if e ~= 117 then
      local known = escapes[e or 0]
      if not known then invalid() end
      at = at + 2
      return known
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
      local stop, isAscii = at, true
      local c = byte(text, stop)
      while c and c ~= 34 and c ~= 92 and c >= 32 do
        if c >= 128 then isAscii = false end
        stop = stop + 1
        c = byte(text, stop)
      end
      local chunk = sub(text, at, stop - 1)
      if not isAscii and not isUtf8(chunk) then invalid() end
      at = stop
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
    local c = skip()
    if c ~= closing and c ~= 44 then invalid() end
    at = at + 1
    return c == 44
  end
  local function word(name, constant)
    if sub(text, at, at + #name - 1) ~= name then invalid() end
    at = at + #name
    return constant
  end
  local function digitsFrom(from)
    while isDigit[byte(text, from) or 0] do from = from + 1 end
    return from
  end
  local function number()
    local begin, stop = at, at
    if byte(text, stop) == 45 then stop = stop + 1 end
    local c = byte(text, stop)
    if c == 48 then stop = stop + 1
    elseif c and isDigit[c] then stop = digitsFrom(stop + 1)
    else invalid() end
    local isFloat = false
    if byte(text, stop) == 46 and isDigit[byte(text, stop + 1) or 0] then
      isFloat = true
      stop = digitsFrom(stop + 2)
    end
    c = byte(text, stop)
    if c == 101 or c == 69 then
      local from = stop + 1
      c = byte(text, from)
      if c == 43 or c == 45 then from = from + 1 end
      if isDigit[byte(text, from) or 0] then
        isFloat = true
        stop = digitsFrom(from + 1)
      end
    end
    at = stop
    local result = numberOf(sub(text, begin, stop - 1), isFloat)
    if result == nil then fail("this number is too large, at byte " .. begin) end
    return result
  end
  function value(depth)
    if depth > maxDepth then fail("this JSON is nested too deeply") end
    local c = skip()
    if c == 34 then return str() end
    if c == 123 then
      local result = object()
      at = at + 1
      if skip() == 125 then at = at + 1 return result end
      repeat
        if skip() ~= 34 then invalid() end
        local key = str()
        if skip() ~= 58 then invalid() end
        at = at + 1
        result[key] = value(depth + 1)
      until not goesOn(125)
      return result
    end
    if c == 91 then
      local result, n = array(), 0
      at = at + 1
      if skip() == 93 then at = at + 1 return result end
      repeat
        n = n + 1
        result[n] = value(depth + 1)
      until not goesOn(93)
      return result
    end
    if c == 116 then return word("true", true) end
    if c == 102 then return word("false", false) end
    if c == 110 then return word("null", null) end
    return number()
  end
  if sub(text, 1, 3) == "\239\187\191" then at = 4 end
  local result = value(0)
  skip()
  if at <= length then invalid() end
  return result
end

local short = {["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\""] = "\\\"", ["\\"] = "\\\\"}
local function escapeOf(c) return short[c] or format("\\u%04x", byte(c)) end
local function needsNothing(text)
  for i = 1, #text do
    local c = byte(text, i)
    if c < 32 or c >= 128 or c == 34 or c == 92 then return false end
  end
  return true
end
function J.escaped(text)
  if needsNothing(text) then return text end
  if find(text, "[\128-\255]") and not isUtf8(text) then fail("a text is not valid UTF-8") end
  return (gsub(text, "[%z\1-\31\"\\]", escapeOf))
end
local function write(value, out, n, keyTexts)
  local kind = type(value)
  if kind == "string" then
    out[n + 1], out[n + 2], out[n + 3] = "\"", J.escaped(value), "\""
    return n + 3
  end
  if kind == "number" then out[n + 1] = format("%.0f", value) return n + 1 end
  if kind == "boolean" then out[n + 1] = value and "true" or "false" return n + 1 end
  if value == null then out[n + 1] = "null" return n + 1 end
  local meta = getmetatable(value)
  if meta == Float then out[n + 1] = V.formatFloat(value.f) return n + 1 end
  if meta == Big then out[n + 1] = value.text return n + 1 end
  if meta == Array then
    n = n + 1
    out[n] = "["
    for i = 1, #value do
      if i > 1 then n = n + 1 out[n] = "," end
      n = write(value[i], out, n, keyTexts)
    end
    out[n + 1] = "]"
    return n + 1
  end
  n = n + 1
  out[n] = "{"
  local keys = V.keys(value)
  for i = 1, #keys do
    local key = keys[i]
    local text = keyTexts[key]
    if not text then
      text = "\"" .. J.escaped(key) .. "\":"
      keyTexts[key] = text
    end
    if i > 1 then n = n + 1 out[n] = "," end
    out[n + 1] = text
    n = write(value[key], out, n + 1, keyTexts)
  end
  out[n + 1] = "}"
  return n + 1
end
function J.dump(value)
  local out = {}
  write(value, out, 0, {})
  return concat(out)
end
`;
