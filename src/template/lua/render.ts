// render.ts in Lua: a tree, as it came in JSON, becomes functions, once.
export const render = `
local function placed(at, ok, ...)
  if ok then return ... end
  local fault = ...
  if type(fault) == "table" and fault.at == nil and fault.why then fail(fault.why, at) end
  error(fault, 0)
end

local function found(value, steps)
  for i = 1, #steps do
    local step = steps[i]
    if type(value) ~= "table" then return nil end
    local meta = getmetatable(value)
    if meta == Object then value = value[step]
    elseif meta == Array then
      if not (step == "0" or find(step, "^[1-9]%d*$")) or #step > 10 then return nil end
      value = value[tonumber(step) + 1]
    else return nil end
    if value == nil then return nil end
  end
  return value
end

local function pathOf(name)
  if sub(name, -1) == "." then name = sub(name, 1, -2) end
  local steps = {}
  for step in string.gmatch(gsub(name, "/", ".") .. ".", "(.-)%.") do
    if find(step, "~[^01]") or find(step, "~$") then return nil end
    steps[#steps + 1] = (gsub(gsub(step, "~1", "/"), "~0", "~"))
  end
  return steps
end

local expression, needed
function needed(node)
  local evaluate = expression(node)
  if node[1] == "json" then return evaluate end
  if node[1] == "var" then
    local name, at = node[2], node[4]
    return function(s)
      local value = evaluate(s)
      if value == nil then fail("variable '" .. name .. "' not found", at) end
      return value
    end
  end
  return function(s)
    local value = evaluate(s)
    if value == nil then fail("there is no value") end
    return value
  end
end

local function variable(name, steps)
  return function(s)
    local value = found(s.locals, steps)
    if value ~= nil then return value end
    value = found(s.root, steps)
    if value ~= nil then return value end
    if name == "body" then return s.body end
    if name == "context" then return s.context end
    return nil
  end
end

local function counted(s, run, a, b, c)
  local value = run(s, a, b, c)
  if type(value) == "string" then spent(s, value) end
  return value
end
local function call(name, args, at)
  local first, second = args[1], args[2]
  if name == "and" then
    local x, y = needed(first), needed(second)
    return function(s) return V.isTrue(x(s)) and V.isTrue(y(s)) end
  end
  if name == "or" then
    local x, y = needed(first), needed(second)
    return function(s) return V.isTrue(x(s)) or V.isTrue(y(s)) end
  end
  if name == "default" then
    local x, y = expression(first), needed(second)
    return function(s)
      local value = x(s)
      if value == nil then return y(s) end
      return value
    end
  end
  if name == "exists" then
    local which = needed(first)
    return function(s)
      return placed(at, pcall(function()
        local path = pathOf(V.text(which(s)))
        return path ~= nil and found(s.root, path) ~= nil
      end))
    end
  end
  if name == "." then
    local container, path = needed(first), second[3]
    return function(s)
      local value = container(s)
      local member
      if V.isObject(value) then member = found(value, path) end
      if member == nil then fail("could not find element with given name", at) end
      return member
    end
  end
  local run = F[name]
  local x, y, z = first and needed(first), second and needed(second), args[3] and needed(args[3])
  return function(s)
    local a, b, c
    if x then a = x(s) end
    if y then b = y(s) end
    if z then c = z(s) end
    return placed(at, pcall(counted, s, run, a, b, c))
  end
end

function expression(node)
  if node[1] == "json" then
    local value = J.parse(node[2])
    return function() return value end
  end
  if node[1] == "var" then return variable(node[2], node[3]) end
  return call(node[2], node[3], node[4])
end

local function cleared(value)
  local kind = type(value)
  if value == nil or value == null then return null end
  if kind == "string" then return "" end
  if kind == "boolean" then return false end
  if kind == "number" then return 0 end
  local meta = getmetatable(value)
  if meta == Float then return float(0) end
  if meta == Array then return array() end
  if meta == Object then return object() end
  return 0
end

local function withAt(value, path, from, given)
  local step = path[from]
  if step == nil then return given end
  if V.isArray(value) or ((value == nil or value == null) and find(step, "^%d+$")) then
    local list = array()
    if V.isArray(value) then for i = 1, #value do list[i] = value[i] end end
    if not (step == "0" or find(step, "^[1-9]%d*$")) or #step > 5 then fail("an array has no item " .. step) end
    local index = tonumber(step)
    while #list < index do list[#list + 1] = null end
    list[index + 1] = withAt(list[index + 1], path, from + 1, given)
    return list
  end
  if value ~= nil and value ~= null and not V.isObject(value) then fail("there is nothing to set in " .. V.kind(value)) end
  local result = object()
  if V.isObject(value) then for key, each in pairs(value) do result[key] = each end end
  result[step] = withAt(result[step], path, from + 1, given)
  return result
end

local blockOf
local function loop(node, escapes)
  local names, list, body, at = node[2], needed(node[3]), blockOf(node[4], escapes), node[5]
  local first, second = names[1], names[2]
  return function(s, out)
    local value = list(s)
    local keys
    if second then
      if not V.isObject(value) then fail("an object is needed, not " .. V.kind(value), at) end
      keys = V.keys(value)
    elseif not V.isArray(value) then fail("an array is needed, not " .. V.kind(value), at) end
    local items = V.items(value)
    local locals = s.locals
    local outer = locals.loop
    if not V.isObject(outer) or next(outer) == nil then outer = nil end
    local count = #items
    for i = 1, count do
      round(s, 1)
      if keys then locals[first] = keys[i] locals[second] = items[i] else locals[first] = items[i] end
      locals.loop = object({index = i - 1, index1 = i, is_first = i == 1, is_last = i == count, parent = outer})
      body(s, out)
    end
    locals[first] = cleared(locals[first])
    if second then locals[second] = cleared(locals[second]) end
    if outer then locals.loop = outer end
  end
end

local function nodeOf(node, escapes)
  if type(node) == "string" then return function(s, out) out[#out + 1] = spent(s, node) end end
  local kind = node[1]
  if kind == "print" then
    local value = needed(node[2])
    return function(s, out)
      local v = value(s)
      local text
      if type(v) == "string" then text = escapes and J.escaped(v) or v
      elseif v == null then text = ""
      else text = J.dump(v) end
      out[#out + 1] = spent(s, text)
    end
  end
  if kind == "if" then
    local condition, yes, no = needed(node[2]), blockOf(node[3], escapes), blockOf(node[4], escapes)
    return function(s, out) if V.isTrue(condition(s)) then yes(s, out) else no(s, out) end end
  end
  if kind == "set" then
    local path, value = node[2], needed(node[3])
    return function(s)
      local given = value(s)
      s.locals[path[1]] = withAt(s.locals[path[1]], path, 2, given)
    end
  end
  return loop(node, escapes)
end

function blockOf(block, escapes)
  local nodes = {}
  for i, node in ipairs(block) do nodes[i] = nodeOf(node, escapes) end
  local count = #nodes
  if count == 1 then return nodes[1] end
  return function(s, out) for i = 1, count do nodes[i](s, out) end end
end

function T.compile(block, escapes)
  local print = blockOf(block, escapes)
  return function(s)
    s.locals = object({loop = null})
    local out = {}
    print(s, out)
    return concat(out)
  end
end
`;
