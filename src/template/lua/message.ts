// stage.ts in Lua: the program of a route is chosen and run on Envoy's message. All is rendered before anything is changed, but for
// `append`, which sees the headers as they have become, as in Gloo.
export const message = String.raw`
-- A variable must not be able to end a header line, or the request line.
function M.clean(name, value)
  if value == "" and byte(name) == 58 then fail("the header " .. name .. " would be empty") end
  if name == ":path" then
    if sub(value, 1, 1) ~= "/" then fail("the path does not begin with /") end
    return (gsub(value, "[%z\1-\32\"#<>\\^{|}\127-\255]", function(c) return format("%%%02X", byte(c)) end))
  end
  if name == ":method" and not find(value, "^%u+$") then fail("the method is none") end
  if name == ":status" and not find(value, "^[2-5]%d%d$") then fail("the status is none") end
  if find(value, "[%z\1-\8\10-\31\127]") then fail("the header " .. name .. " would have a control character") end
  return value
end

local function extracted(e, source)
  -- A header that is not there is empty, whatever the expression says.
  if not e.regex or (e.header and source == "") then return source end
  if e.mode == "replaceAll" then return X.replaceAll(e.regex, source, e.replacement) end
  if e.mode == "replaceGroup" then
    local slots = X.matchAt(e.regex, source, 0, "prefix")
    if not slots or slots[1] ~= #source then return source end
    local first, last = slots[e.group * 2], slots[e.group * 2 + 1]
    if first < 0 or last < 0 then first, last = #source, #source end
    return sub(source, 1, first) .. e.replacement .. sub(source, last + 1)
  end
  local slots = X.matchAt(e.regex, source, 0, "whole")
  return slots and X.groupOf(source, slots, e.group) or ""
end

local function put(context, path, value)
  local at = context
  for i = 1, #path - 1 do
    local next = at[path[i]]
    if next == nil or next == null then
      next = object()
      at[path[i]] = next
    end
    if not V.isObject(next) then fail("the extracted " .. concat(path, ".") .. " has no place in the body") end
    at = next
  end
  at[path[#path]] = value
end

-- Renders all but what is appended: a table of what is to be done.
function M.render(change, body, around)
  local context = null
  if change.needs == "json" and body ~= "" then
    local ok, value = pcall(J.parse, body)
    if ok then context = value elseif not change.ignoresBadBody then error(value, 0) end
  end
  local extractions = {}
  for _, e in ipairs(change.extract or {}) do
    local source = body
    if e.header then source = around.header(e.header) end
    local value = extracted(e, source)
    extractions[e.name] = value
    if not change.advanced then
      if context == null then context = object() end
      if not V.isObject(context) then fail("the body is no JSON object, which the extracted " .. e.name .. " needs") end
      put(context, e.path, value)
    end
  end
  local s = {
    around = around, body = body, context = context, root = V.isObject(context) and context or object(),
    extractions = extractions, rounds = 1000000, bytes = 33554432,
  }
  local done = {scope = s, set = {}, metadata = {}}
  if change.body then done.body = change.body(s)
  elseif change.merge then done.body = J.dump(context)
  elseif change.keys then
    for _, each in ipairs(change.keys) do
      local text = each.value(s)
      if text ~= "" or each.evenEmpty then
        local value = J.parse(text)
        if context == null then context = object() end
        if not V.isObject(context) then fail("the body is no JSON object, which the key " .. each.name .. " needs") end
        context[each.name] = value
        s.context, s.root = context, context
      end
    end
    if #change.keys > 0 then done.body = J.dump(context) end
  end
  for _, each in ipairs(change.metadata or {}) do
    local text = each.value(s)
    if text ~= "" then
      local value = text
      if each.isJson then
        local ok, parsed = pcall(J.parse, text)
        if ok then value = parsed end
      end
      if value ~= null then done.metadata[#done.metadata + 1] = {namespace = each.namespace, key = each.key, value = value} end
    end
  end
  for i, each in ipairs(change.set or {}) do
    done.set[i] = {name = each.name, value = M.clean(each.name, each.value(s))}
  end
  return done
end

-- headers: as Envoy's.
function M.apply(change, done, headers)
  for _, each in ipairs(done.set) do
    if each.value == "" then headers:remove(each.name) else headers:replace(each.name, each.value) end
  end
  for _, name in ipairs(change.remove or {}) do headers:remove(name) end
  for _, each in ipairs(change.append or {}) do
    local value = M.clean(each.name, each.value(done.scope))
    if value ~= "" then headers:add(each.name, value) end
  end
end

local function decodedQuery(text)
  return (gsub(text, "%%(%x%x)", function(digits) return char(tonumber(digits, 16)) end))
end
local function listed(pairsOf)
  local last, several = object(), object()
  for _, pair in ipairs(pairsOf) do
    local name, value = pair[1], pair[2]
    local before = last[name]
    last[name] = value
    if before ~= nil and before ~= "" then
      if not several[name] then several[name] = array({before}) end
      several[name][#several[name] + 1] = value
    end
  end
  return last, several
end
function M.queryOf(path, isRaw)
  local decoded = isRaw and function(text) return text end or decodedQuery
  local plain, query = match(path, "^([^?]*)%??(.*)$")
  local found = {}
  for part in string.gmatch(query, "[^&]+") do
    local name, value = match(part, "^(.-)=(.*)$")
    if name then found[#found + 1] = {decoded(name), decoded(value)}
    else found[#found + 1] = {part, ""} end
  end
  return plain, query, found
end
function M.envelope(kind, headers, body)
  local result = object()
  if body ~= "" then result.body = body end
  local last, several = listed(headers)
  result.headers = last
  if kind == "request" then
    local plain, query, found = M.queryOf(last[":path"] or "")
    local parameters, repeated = listed(found)
    result.multiValueHeaders = several
    result.queryString = query
    result.httpMethod = last[":method"] or ""
    result.path = plain
    result.queryStringParameters = parameters
    result.multiValueQueryStringParameters = repeated
  end
  return J.dump(result)
end

local function fits(m, value)
  if m.kind == "present" then return value ~= nil end
  if value == nil then return false end
  if m.kind == "exact" then return value == m.value end
  return X.matchAt(m.regex, value, 0, "whole") ~= nil
end
local function headersFit(list, headers)
  for _, m in ipairs(list or {}) do
    local ok, result = pcall(fits, m, headers(m.name))
    if not ok or result == (m.isInverted == true) then return false end
  end
  return true
end
-- headers(name): all values, joined by a comma, or nil.
function M.requestFits(m, headers)
  if m == nil then return true end
  local path, _, found = M.queryOf(headers(":path") or "", true)
  if m.path then
    local shown = m.path.ignoresCase and lower(path) or path
    if m.path.kind == "prefix" and sub(shown, 1, #m.path.value) ~= m.path.value then return false end
    if m.path.kind == "exact" and shown ~= m.path.value then return false end
    if m.path.kind == "regex" then
      local ok, slots = pcall(X.matchAt, m.path.regex, path, 0, "whole")
      if not ok or not slots then return false end
    end
  end
  if m.methods then
    local is = false
    for _, method in ipairs(m.methods) do if method == headers(":method") then is = true end end
    if not is then return false end
  end
  if m.query then
    for _, q in ipairs(m.query) do
      local value
      for _, pair in ipairs(found) do if pair[1] == q.name then value = pair[2] break end end
      local ok, result = pcall(fits, q, value)
      if not ok or not result then return false end
    end
  end
  return headersFit(m.headers, headers)
end

local function matchReady(m)
  if m.regex then m.regex = X.compile(m.regex) end
end
function M.changeReady(change)
  if change == nil or change.envelope then return change end
  for _, e in ipairs(change.extract or {}) do if e.regex then e.regex = X.compile(e.regex) end end
  if change.body then change.body = T.compile(change.body, change.escapes) end
  for _, name in ipairs({"keys", "metadata", "set", "append"}) do
    for _, each in ipairs(change[name] or {}) do each.value = T.compile(each.value, change.escapes) end
  end
  return change
end
function M.ready(text)
  local stage = J.parse(text)
  for _, entry in ipairs(stage.entries) do
    local m = entry.match
    if m then
      if m.path then matchReady(m.path) end
      for _, each in ipairs(m.headers or {}) do matchReady(each) end
      for _, each in ipairs(m.query or {}) do matchReady(each) end
    end
    M.changeReady(entry.request)
    M.changeReady(entry.response)
    if entry.response then stage.tellsResponse = true end
  end
  for _, each in ipairs(stage.responses or {}) do
    for _, m in ipairs(each.headers) do matchReady(m) end
    M.changeReady(each.response)
    stage.tellsResponse = true
  end
  return stage
end
`;
