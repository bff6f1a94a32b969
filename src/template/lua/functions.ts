// functions.ts in Lua. Each takes the values and the scope.
export const functions = String.raw`
local blank = "[ \t\n\v\f\r]"
local function lower(text) return (gsub(text, "[A-Z]", string.lower)) end
local function upper(text) return (gsub(text, "[a-z]", string.upper)) end

local function round(s, count)
  s.rounds = s.rounds - count
  if s.rounds < 0 then fail("the template takes too long") end
end
local function walked(s, value)
  local items = V.items(value)
  round(s, #items)
  return items
end
local function spent(s, text)
  s.bytes = s.bytes - #text
  if s.bytes < 0 then fail("the template makes too much text") end
  return text
end

-- Before it is made: a text that is too large would be made in vain, or not at all.
local function afford(s, size)
  if size > s.bytes then fail("the template makes too much text") end
end

-- Every place of a text is replaced by another text.
local function replaced(s, text, what, by)
  local out, n, at = {}, 0, 1
  while true do
    local first, last = find(text, what, at, true)
    if not first then break end
    out[n + 1], out[n + 2] = sub(text, at, first - 1), by
    n = n + 2
    at = last + 1
  end
  afford(s, #text + n / 2 * #by)
  if n == 0 then return text end
  out[n + 1] = sub(text, at)
  return concat(out)
end

local function arithmetic(x, y, result)
  if type(x) == "number" and type(y) == "number" then return integer(result) end
  return float(result)
end

F["not"] = function(_, x) return not V.isTrue(x) end
F["in"] = function(s, x, y)
  for _, each in ipairs(walked(s, y)) do if compare(each, x) == 0 then return true end end
  return false
end
F["=="] = function(_, x, y) return compare(x, y) == 0 end
F["!="] = function(_, x, y) return compare(x, y) ~= 0 end
F[">"] = function(_, x, y) return compare(x, y) > 0 end
F[">="] = function(_, x, y) return compare(x, y) >= 0 end
F["<"] = function(_, x, y) return compare(x, y) < 0 end
F["<="] = function(_, x, y) return compare(x, y) <= 0 end
F["+"] = function(_, x, y)
  if type(x) == "string" and type(y) == "string" then return x .. y end
  return arithmetic(x, y, V.float(x) + V.float(y))
end
F["-"] = function(_, x, y) return arithmetic(x, y, V.float(x) - V.float(y)) end
F["*"] = function(_, x, y) return arithmetic(x, y, V.float(x) * V.float(y)) end
F["/"] = function(_, x, y)
  local divisor = V.float(y)
  if divisor == 0 then fail("division by zero") end
  return float(V.float(x) / divisor)
end
F["%"] = function(_, x, y)
  local p, q = V.whole(x), V.whole(y)
  if q == 0 then fail("division by zero") end
  return math.fmod(p, q) + 0
end
F["^"] = function(_, x, y)
  local exponent = V.whole(y)
  local result = V.power(V.float(x), exponent)
  if V.isInteger(x) and exponent >= 0 then return integer(result) end
  return float(result)
end

function F.at(_, container, key)
  if V.isObject(container) then
    local value = container[V.text(key)]
    if value == nil then fail("the object has no such key") end
    return value
  end
  if not V.isArray(container) then fail("at needs an array or object, not " .. V.kind(container)) end
  local index = type(key) == "boolean" and (key and 1 or 0) or V.whole(key)
  local value = container[index + 1]
  if value == nil then fail("the array has no item " .. format("%.0f", index)) end
  return value
end
function F.capitalize(_, x)
  local text = V.text(x)
  return upper(sub(text, 1, 1)) .. lower(sub(text, 2))
end
function F.divisibleBy(_, x, y)
  local p, q = V.whole(x), V.whole(y)
  return q ~= 0 and math.fmod(p, q) == 0
end
function F.even(_, x) return math.fmod(V.whole(x), 2) == 0 end
function F.odd(_, x) return math.fmod(V.whole(x), 2) ~= 0 end
function F.existsIn(_, container, key)
  local name = V.text(key)
  return V.isObject(container) and container[name] ~= nil
end
local function some(items)
  if #items == 0 then fail("there is nothing in it") end
  return items
end
function F.first(_, x) return some(V.items(x))[1] end
function F.last(_, x) local items = some(V.items(x)) return items[#items] end
function F.max(s, x)
  local items = some(walked(s, x))
  local most = items[1]
  for i = 2, #items do if compare(most, items[i]) < 0 then most = items[i] end end
  return most
end
function F.min(s, x)
  local items = some(walked(s, x))
  local least = items[1]
  for i = 2, #items do if compare(items[i], least) < 0 then least = items[i] end end
  return least
end
function F.float(_, x)
  local text = V.text(x)
  local sign, rest = match(text, "^" .. blank .. "*([+-]?)(.*)$")
  local number = match(rest, "^%d+%.?%d*") or match(rest, "^%.%d+")
  if not number then fail("this text is no number") end
  local exponent = match(rest, "^[eE][+-]?%d+", #number + 1) or ""
  local value = floatOf((sign == "-" and "-" or "") .. number .. exponent)
  if value == huge or value == -huge then fail("a number is too large") end
  return float(value)
end
function F.int(_, x)
  local number = match(V.text(x), "^" .. blank .. "*([+-]?%d+)")
  if not number then fail("this text is no number") end
  local value = tonumber((gsub(number, "^%+", "")))
  if value < -2147483648 or value > 2147483647 then fail("a number is too large") end
  return value + 0
end
function F.isArray(_, x) return V.isArray(x) end
function F.isBoolean(_, x) return type(x) == "boolean" end
function F.isFloat(_, x) return type(x) == "table" and getmetatable(x) == Float end
function F.isInteger(_, x) return V.isInteger(x) end
function F.isNumber(_, x) return V.isNumber(x) end
function F.isObject(_, x) return V.isObject(x) end
function F.isString(_, x) return type(x) == "string" end
function F.join(s, x, y)
  local separator, out, size = V.text(y), {}, 0
  for i, each in ipairs(walked(s, x)) do
    out[i] = type(each) == "string" and each or J.dump(each)
    size = size + #out[i]
  end
  afford(s, size + #separator * math.max(0, #out - 1))
  return concat(out, separator)
end
function F.length(_, x)
  if type(x) == "string" then return #x end
  return #V.items(x)
end
function F.lower(_, x) return lower(V.text(x)) end
function F.upper(_, x) return upper(V.text(x)) end
function F.range(s, x)
  local count = V.whole(x)
  if count < 0 then fail("a range has no negative length") end
  round(s, count)
  local out = array()
  for i = 1, count do out[i] = i - 1 end
  return out
end
function F.replace(s, x, y, z)
  local text, what, by = V.text(x), V.text(y), V.text(z)
  if what == "" then return text end
  return replaced(s, text, what, by)
end
function F.round(_, x, y)
  local value, places = V.float(x), V.whole(y)
  if places < -300 or places > 300 then fail("a number is too large") end
  local result = V.rounded(value, places)
  if places == 0 then return integer(result) end
  return float(result)
end
function F.sort(s, x)
  if not V.isArray(x) then fail("sort needs an array, not " .. V.kind(x)) end
  round(s, #x)
  return V.sorted(x)
end

local standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local urlSafe = sub(standard, 1, 62) .. "-_"
local function encode64(text, alphabet, pad)
  local out, n = {}, 0
  for i = 1, #text, 3 do
    local p, q, r = byte(text, i, i + 2)
    local bits = p * 65536 + (q or 0) * 256 + (r or 0)
    local d1, d2, d3, d4 = floor(bits / 262144), floor(bits / 4096) % 64, floor(bits / 64) % 64, bits % 64
    n = n + 1
    out[n] = sub(alphabet, d1 + 1, d1 + 1) .. sub(alphabet, d2 + 1, d2 + 1)
      .. (q and sub(alphabet, d3 + 1, d3 + 1) or pad) .. (r and sub(alphabet, d4 + 1, d4 + 1) or pad)
  end
  return concat(out)
end
local function decode64(text, alphabet)
  if #text % 4 == 1 then return "" end
  local code = {}
  for i = 1, 64 do code[byte(alphabet, i)] = i - 1 end
  local out, n = {}, 0
  for i = 1, #text, 4 do
    local a, b, c, d = byte(text, i, i + 3)
    local p, q = code[a], code[b]
    local r, t = c and code[c], d and code[d]
    if not p or not q or (c and not r) or (d and not t) then return "" end
    n = n + 1
    if not c then
      if q % 16 ~= 0 then return "" end
      out[n] = char(p * 4 + floor(q / 16))
    elseif not d then
      if r % 4 ~= 0 then return "" end
      out[n] = char(p * 4 + floor(q / 16), q % 16 * 16 + floor(r / 4))
    else out[n] = char(p * 4 + floor(q / 16), q % 16 * 16 + floor(r / 4), r % 4 * 64 + t) end
  end
  return concat(out)
end
F.base64_encode = function(_, x) return encode64(V.text(x), standard, "=") end
F.base64url_encode = function(_, x) return encode64(V.text(x), urlSafe, "") end
F.base64_decode = function(_, x)
  local text = V.text(x)
  if #text % 4 ~= 0 then return "" end
  return decode64(match(text, "^(.*)==$") or match(text, "^(.*)=$") or text, standard)
end
F.base64url_decode = function(_, x) return decode64(V.text(x), urlSafe) end

function F.body(s) return s.body end
function F.context(s) return s.context end
function F.header(s, x) return s.around.header(lower(V.text(x))) end
function F.request_header(s, x) return s.around.requestHeader(lower(V.text(x))) end
function F.extraction(s, x) return s.extractions[V.text(x)] or "" end
function F.env(s, x) return s.around.env(V.text(x)) end
function F.data_source(_, x) V.text(x) return "" end
function F.clusterMetadata(_, x) V.text(x) return "" end
function F.cluster_metadata() return "" end
function F.host_metadata() return "" end
function F.dynamic_metadata(s, x, y)
  if type(x) ~= "string" then return "" end
  local namespace = y ~= nil and V.text(y) or "io.solo.transformation"
  local path = {}
  for step in string.gmatch(x .. ":", "(.-):") do path[#path + 1] = step end
  local value = s.around.dynamicMetadata(namespace, path)
  if value == nil or value == null then return "" end
  if type(value) == "string" then return value end
  if V.isNumber(value) then return float(V.float(value)) end
  if type(value) == "boolean" then return tostring(value) end
  return J.dump(value)
end
function F.raw_string(_, x) return J.escaped(V.text(x)) end
function F.replace_with_random(s, x, y)
  local text, what = V.text(x), V.text(y)
  if what == "" then return text end
  return replaced(s, text, what, s.around.random(what))
end
function F.substring(_, x, start, length)
  local text = V.text(x)
  if length == nil then length = -1 end
  if type(start) ~= "number" or type(length) ~= "number" or start < 0 or start >= #text then return "" end
  if length <= 0 or start + length > #text then return sub(text, start + 1) end
  return sub(text, start + 1, start + length)
end
function F.trim(_, x)
  local text = V.text(x)
  return match(text, "^" .. blank .. "*(.*[^ \t\n\v\f\r])") or ""
end
local function wordCount(value)
  if type(value) == "string" then
    if value == "" then return 0 end
    local rest = match(value, "^" .. blank .. "*(.*)$")
    local _, spaces = gsub(rest, blank .. "+", "")
    if rest ~= "" and not find(rest, blank .. "$") then spaces = spaces + 1 end
    return spaces == 0 and 1 or spaces
  end
  if V.isObject(value) then
    local sum = 0
    for key, each in pairs(value) do sum = sum + wordCount(key) + wordCount(each) end
    return sum
  end
  if V.isArray(value) then
    local sum = 0
    for _, each in ipairs(value) do sum = sum + wordCount(each) end
    return sum
  end
  return value == null and 0 or 1
end
function F.word_count(_, x) return wordCount(x) end
`;
