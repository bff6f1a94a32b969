// value.ts, numbers.ts in Lua: what values are and how they compare. An integer is a number of Lua, everything else that Lua lacks is a table
// with a metatable of its own. Faults are errors with a table: what is wrong, and where in the template.
export const values = `
local null, Float, Big, Object, Array = {}, {}, {}, {}, {}
local V, J, F, X, T, M = {}, {}, {}, {}, {}, {}
local format, find, match, sub, byte, char, gsub, rep = string.format, string.find, string.match, string.sub, string.byte, string.char, string.gsub, string.rep
local concat, sort, floor, huge = table.concat, table.sort, math.floor, math.huge
local safe = 9007199254740991
local maxDepth = 200

local function fail(why, at) error({why = at and why .. " (at " .. at .. ")" or why, at = at}, 0) end
local function float(value) return setmetatable({f = value}, Float) end
local function object(table) return setmetatable(table or {}, Object) end
local function array(table) return setmetatable(table or {}, Array) end
local function isSafe(value) return value >= -safe and value <= safe and value == floor(value) end
local function integer(value) if isSafe(value) then return value + 0 end return float(value) end

function V.kind(value)
  local kind = type(value)
  if kind == "string" then return "a text" end
  if kind == "boolean" then return "a boolean" end
  if value == null then return "null" end
  if kind == "number" then return "a number" end
  local meta = getmetatable(value)
  if meta == Array then return "an array" end
  if meta == Object then return "an object" end
  return "a number"
end
function V.isNumber(value)
  if type(value) == "number" then return true end
  local meta = getmetatable(value)
  return type(value) == "table" and (meta == Float or meta == Big)
end
function V.isInteger(value) return type(value) == "number" or (type(value) == "table" and getmetatable(value) == Big) end
function V.isObject(value) return type(value) == "table" and getmetatable(value) == Object end
function V.isArray(value) return type(value) == "table" and getmetatable(value) == Array end
function V.float(value)
  if type(value) == "number" then return value end
  if V.isNumber(value) then return value.f end
  fail("a number is needed, not " .. V.kind(value))
end
function V.whole(value)
  local number = V.float(value)
  local whole = number < 0 and -floor(-number) or floor(number)
  if not isSafe(whole) then fail("a number is too large") end
  return whole + 0
end
function V.text(value)
  if type(value) == "string" then return value end
  fail("a text is needed, not " .. V.kind(value))
end
function V.keys(value)
  local keys, n = {}, 0
  for key in pairs(value) do n = n + 1 keys[n] = key end
  if n > 12 then sort(keys) return keys end
  for i = 2, n do
    local key, j = keys[i], i - 1
    while j > 0 and keys[j] > key do
      keys[j + 1] = keys[j]
      j = j - 1
    end
    keys[j + 1] = key
  end
  return keys
end
function V.items(value)
  if V.isArray(value) then return value end
  if V.isObject(value) then
    local items = V.keys(value)
    for i = 1, #items do items[i] = value[items[i]] end
    return items
  end
  if value == null then return {} end
  return {value}
end
function V.isTrue(value)
  if type(value) == "boolean" then return value end
  if type(value) == "string" then return value ~= "" end
  if V.isNumber(value) then return V.float(value) ~= 0 end
  return value ~= null and next(value) ~= nil
end

local function rank(value)
  local kind = type(value)
  if kind == "string" then return 5 end
  if kind == "number" then return 2 end
  if kind == "boolean" then return 1 end
  if value == null then return 0 end
  local meta = getmetatable(value)
  if meta == Object then return 3 end
  if meta == Array then return 4 end
  return 2
end
local function digits(text)
  local sign, rest = match(text, "^(%-?)0*(.*)$")
  return sign == "-", rest
end
local function compareBig(a, b)
  if a == b then return 0 end
  local below, x = digits(a)
  local belowToo, y = digits(b)
  if below ~= belowToo then return below and -1 or 1 end
  local less
  if #x ~= #y then less = #x < #y else less = x < y end
  return less ~= below and -1 or 1
end
local compare
local function compareLists(a, b)
  for i = 1, math.min(#a, #b) do
    local order = compare(a[i], b[i])
    if order ~= 0 then return order end
  end
  return #a - #b
end
local function compareObjects(a, b)
  local x, y = V.keys(a), V.keys(b)
  for i = 1, math.min(#x, #y) do
    if x[i] ~= y[i] then return x[i] < y[i] and -1 or 1 end
    local order = compare(a[x[i]], b[y[i]])
    if order ~= 0 then return order end
  end
  return #x - #y
end
function compare(a, b)
  local kind, other = rank(a), rank(b)
  if kind ~= other then return kind - other end
  if kind == 0 then return 0 end
  if kind == 1 then
    if a == b then return 0 end
    return a and 1 or -1
  end
  if kind == 2 then
    if type(a) == "table" and type(b) == "table" and a.text and b.text then return compareBig(a.text, b.text) end
    a, b = V.float(a), V.float(b)
  elseif kind == 3 then return compareObjects(a, b)
  elseif kind == 4 then return compareLists(a, b) end
  if a < b then return -1 end
  return a == b and 0 or 1
end
V.compare = compare

-- A stable order, as that of the other back-end: table.sort is not stable.
function V.sorted(list)
  local from, to, n = {}, {}, #list
  for i = 1, n do from[i] = list[i] end
  local width = 1
  while width < n do
    for low = 1, n, 2 * width do
      local middle, high = math.min(low + width, n + 1), math.min(low + 2 * width, n + 1)
      local i, j = low, middle
      for k = low, high - 1 do
        if i < middle and (j >= high or compare(from[i], from[j]) <= 0) then to[k] = from[i] i = i + 1
        else to[k] = from[j] j = j + 1 end
      end
    end
    from, to = to, from
    width = 2 * width
  end
  return array(from)
end

local function shortest(value)
  for precision = 14, 16 do
    local text = format("%." .. precision .. "e", value)
    if precision == 16 or tonumber(text) == value then
      local whole, fraction, exponent = match(text, "^(%d)%.(%d*)e([+-]%d+)$")
      return (gsub(whole .. fraction, "0+$", "")), tonumber(exponent)
    end
  end
end
function V.formatFloat(value)
  if value ~= value or value == huge or value == -huge then return "null" end
  if value == 0 then return 1 / value < 0 and "-0.0" or "0.0" end
  local size = math.abs(value)
  if size >= 0.001 and size < 1e13 then
    local text = format("%.14g", value)
    if tonumber(text) == value then return find(text, ".", 1, true) and text or text .. ".0" end
  end
  local sign = value < 0 and "-" or ""
  local d, exponent = shortest(math.abs(value))
  local point = exponent + 1
  if #d <= point and point <= 15 then return sign .. d .. rep("0", point - #d) .. ".0" end
  if point > 0 and point <= 15 then return sign .. sub(d, 1, point) .. "." .. sub(d, point + 1) end
  if point > -4 and point <= 0 then return sign .. "0." .. rep("0", -point) .. d end
  local fraction = #d > 1 and "." .. sub(d, 2) or ""
  return sign .. sub(d, 1, 1) .. fraction .. "e" .. (exponent < 0 and "-" or "+") .. format("%02d", math.abs(exponent))
end
function V.power(base, exponent)
  local result, square, rest = 1, base, math.abs(exponent)
  while rest > 0 do
    if rest % 2 == 1 then result = result * square end
    square = square * square
    rest = floor(rest / 2)
  end
  return exponent < 0 and 1 / result or result
end
function V.rounded(value, places)
  local scale = V.power(10, places)
  local scaled = value * scale
  if scaled ~= scaled or scaled == huge or scaled == -huge then return scaled / scale end
  local whole = scaled < 0 and -floor(-scaled) or floor(scaled)
  if math.abs(scaled - whole) >= 0.5 then whole = whole + (scaled < 0 and -1 or 1) end
  return whole / scale
end
`;
