// regex-run.ts in Lua.
export const regex = String.raw`
local maxSteps, maxWaiting = 1000000, 100000
local function tooLong() fail("the regular expression takes too long") end

-- A set as a table of bytes, and as a class of Lua's patterns. At the ends of a range, Lua takes no escapes.
local special = {[37] = true, [45] = true, [93] = true, [94] = true, [91] = true, [0] = true}
local function quotedByte(code) if code == 0 then return "%z" end return special[code] and "%" .. char(code) or char(code) end
local function classOf(set)
  local out = {}
  for i = 1, #set, 2 do
    local low, high = set[i], set[i + 1]
    while low <= high and special[low] do out[#out + 1] = quotedByte(low) low = low + 1 end
    local tail = ""
    while high >= low and special[high] do tail = tail .. quotedByte(high) high = high - 1 end
    if low < high then out[#out + 1] = char(low) .. "-" .. char(high) elseif low == high then out[#out + 1] = char(low) end
    out[#out + 1] = tail
  end
  return concat(out)
end
local function membersOf(set)
  local members = {}
  for i = 1, #set, 2 do for code = set[i], set[i + 1] do members[code] = true end end
  return members
end

function X.compile(program)
  local code = {}
  for i, step in ipairs(program.code) do
    local op = step[1]
    local made = {op = op, a = step[2], b = step[3], c = step[4]}
    if op == "set" then made.members = membersOf(step[2])
    elseif op == "run" then
      local class = classOf(step[2])
      made.pattern = class ~= "" and "^[" .. class .. "]*()" or "^()"
      made.a, made.b = step[3], step[4]
    end
    code[i - 1] = made
  end
  return {code = code, groups = program.groups, slots = program.slots}
end

local function isWord(text, at)
  local c = byte(text, at + 1)
  return at >= 0 and c ~= nil and (c == 95 or (c >= 48 and c <= 57) or (c >= 65 and c <= 90) or (c >= 97 and c <= 122))
end
local function groupOf(text, slots, group)
  local first, last = slots[group * 2], slots[group * 2 + 1]
  if first < 0 or last < 0 then return "" end
  return sub(text, first + 1, last)
end
X.groupOf = groupOf

-- Positions count from 0, as in the other back-end.
local function run(r, begin, from, isOutermost)
  local code, text, slots, waiting, base = r.code, r.text, r.slots, r.waiting, r.n
  local length = #text
  local next, at = begin, from
  while true do
    r.budget.left = r.budget.left - 1
    if r.budget.left < 0 then tooLong() end
    local step = code[next]
    local op = step.op
    local fits = true
    if op == "set" then
      fits = at < length and step.members[byte(text, at + 1)] == true
      at = at + 1
      next = next + 1
    elseif op == "run" then
      local stop = match(text, step.pattern, at + 1) - 1
      if step.b >= 0 and stop > at + step.b then stop = at + step.b end
      local low = at + step.a
      fits = stop >= low
      next = next + 1
      if fits and stop > low then
        if r.n >= maxWaiting * 3 then tooLong() end
        local n = r.n
        waiting[n + 1], waiting[n + 2], waiting[n + 3] = next, stop - 1, low
        r.n = n + 3
      end
      at = stop
    elseif op == "split" or op == "save" then
      if r.n >= maxWaiting * 3 then tooLong() end
      local n = r.n
      if op == "split" then
        waiting[n + 1], waiting[n + 2], waiting[n + 3] = step.b, at, at
        next = step.a
      else
        waiting[n + 1], waiting[n + 2], waiting[n + 3] = -1 - step.a, slots[step.a], 0
        slots[step.a] = at
        next = next + 1
      end
      r.n = n + 3
    elseif op == "jump" then next = step.a
    elseif op == "moved" then fits = slots[step.a] ~= at next = next + 1
    elseif op == "begin" then fits = at == 0 next = next + 1
    elseif op == "end" then fits = at == length next = next + 1
    elseif op == "word" then fits = (isWord(text, at - 1) ~= isWord(text, at)) == step.a next = next + 1
    elseif op == "back" then
      local group = groupOf(text, slots, step.a)
      fits = sub(text, at + 1, at + #group) == group
      at = at + #group
      next = next + 1
    elseif op == "look" then
      fits = (run(r, next + 1, at, false) >= 0) ~= step.a
      next = step.b
    else
      fits = not isOutermost or r.extent == "prefix" or (r.extent == "whole" and at == length) or (r.extent == "some" and at > r.from)
      if fits then r.n = base return at end
    end
    if not fits then
      while true do
        local n = r.n
        if n <= base then return -1 end
        local low = waiting[n]
        next, at = waiting[n - 2], waiting[n - 1]
        r.n = n - 3
        if next < 0 then slots[-1 - next] = at
        else
          if at > low then
            waiting[n - 1] = at - 1
            r.n = n
          end
          break
        end
      end
    end
  end
end
function X.matchAt(regex, text, from, extent, budget)
  local slots = {}
  for i = 0, regex.slots - 1 do slots[i] = -1 end
  local r = {code = regex.code, text = text, from = from, extent = extent, slots = slots, waiting = {}, n = 0, budget = budget or {left = maxSteps}}
  local stop = run(r, 0, from, true)
  if stop < 0 then return nil end
  slots[0], slots[1] = from, stop
  return slots
end

local function filled(replacement, text, slots, before)
  local out, at = {}, 1
  while true do
    local dollar = find(replacement, "$", at, true)
    if not dollar then break end
    out[#out + 1] = sub(replacement, at, dollar - 1)
    local what = sub(replacement, dollar + 1, dollar + 1)
    at = dollar + 2
    if what == "$" then out[#out + 1] = "$"
    elseif what == "&" then out[#out + 1] = sub(text, slots[0] + 1, slots[1])
    elseif what == "\96" then out[#out + 1] = sub(text, before + 1, slots[0])
    elseif what == "'" then out[#out + 1] = sub(text, slots[1] + 1)
    elseif find(what, "^%d$") then
      local number = match(replacement, "^%d%d?", dollar + 1)
      at = dollar + 1 + #number
      local group = tonumber(number)
      if slots[group * 2] and slots[group * 2 + 1] and group <= slots.groups then out[#out + 1] = groupOf(text, slots, group) end
    else
      out[#out + 1] = "$"
      at = dollar + 1
    end
  end
  out[#out + 1] = sub(replacement, at)
  return concat(out)
end
function X.replaceAll(regex, text, replacement)
  local out, copied, at, budget = {}, 0, 0, {left = maxSteps}
  while at <= #text do
    local slots = X.matchAt(regex, text, at, "some", budget)
    if slots then
      slots.groups = regex.groups
      out[#out + 1] = sub(text, copied + 1, at)
      out[#out + 1] = filled(replacement, text, slots, copied)
      at = slots[1]
      copied = at
    else at = at + 1 end
  end
  out[#out + 1] = sub(text, copied + 1)
  return concat(out)
end
`;
