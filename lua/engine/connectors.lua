--- What is wrong with the connectors of a definition, and with the files that
-- they read and write. Runs in the loader's VM, for plan.lua.

-- Of plan.lua: its words for values, and what a duration and a size are.
local of = ...
local is_count, clean, named, shown = of.is_count, of.clean, of.named, of.shown
local plain, last_entry, duration, size = of.plain, of.last_entry, of.duration, of.size
local A_DURATION, A_SIZE = of.a_duration, of.a_size

--- A list of texts; gives it as it was looked at, without metamethods.
local function check_texts(use, key, v, fault)
  v = plain(v)
  local _, missing = last_entry(v)
  if missing then
    fault(use.line, "entry %d of %s of %s is nil; is it spelled right?", missing, key, use.connector)
  end
  for place, text in next, v do
    if math.type(place) ~= "integer" or place < 1 then
      fault(use.line, "%s of %s has the key '%s'; give { \"…\", … }", key, use.connector, named(place))
    elseif type(text) ~= "string" or text == "" or text:find("\0", 1, true) then
      fault(use.line, "%s of %s holds %s; give texts", key, use.connector, shown(text))
    end
  end
  return v
end

--- Checks the value of an option; gives it as the plan holds it.
local function check_option(use, option, v, fault)
  local key = option.name
  local function bad(should)
    fault(use.line, "%s of %s is %s; give %s", key, use.connector, shown(v), should)
  end
  if option.type == "text" then
    if type(v) ~= "string" or v == "" then
      bad("a text")
    elseif v:find("\0", 1, true) then
      bad("a text without \\0")
    end
  elseif option.type == "texts" then
    if type(v) == "table" and next(v) ~= nil then return check_texts(use, key, v, fault) end
    bad("a list of texts")
  elseif option.type == "flag" then
    if type(v) ~= "boolean" then bad("true or false") end
  elseif option.type == "count" then
    local least = option.least or 0
    if not is_count(v, least, math.maxinteger) then bad("a whole number from " .. least .. " on") end
  elseif option.type == "duration" then
    local ns = duration(v)
    if ns then return ns end
    bad(A_DURATION)
  elseif option.type == "size" then
    local bytes = size(v)
    if bytes and bytes > 0 then return bytes end
    bad(A_SIZE)
  elseif option.type == "choice" then
    local fits = false
    for choice in option.choices:gmatch("%S+") do fits = fits or v == choice end
    if not fits then bad("one of " .. option.choices:gsub(" ", ", ")) end
  elseif option.type == "function" then
    if type(v) ~= "function" then bad("a function") end
  end
  return v
end

--- The tuples that stand in its table by position.
local function check_rows(use, fault)
  local last, missing = last_entry(use.options)
  if missing then
    fault(use.line, "entry %d of %s is nil; write { value, … }", missing, use.connector)
    return
  end
  local arity = nil
  for i = 1, last do
    local row = use.options[i]
    if type(row) ~= "table" then
      fault(use.line, "entry %d of %s is no tuple; write { value, … }", i, use.connector)
      return
    end
    -- A nil at a row's end can't be seen: the fields tell the arity.
    arity = math.max(arity or 0, (last_entry(row)))
    for key in next, row do
      if math.type(key) ~= "integer" or key < 1 then
        fault(use.line, "entry %d of %s has the key '%s'; a tuple's values stand by position", i, use.connector, named(key))
        return
      end
    end
  end
  use.arity = arity
end

--- Checks how the component `c` uses a connector; gives that one's description,
-- or nil: it can't stand there.
local function check_connector(c, use, connectors, fault, hint)
  local about = connectors[use.connector]
  local role = c.kind == "spout" and "source" or "sink"
  if not about[role] then
    local fitting = {}
    for name, other in pairs(connectors) do
      if other[role] then fitting[name] = true end
    end
    fault(use.line, "%s can't be a %s; %s", use.connector, role, hint("", fitting))
    return nil
  end
  local known, rows = {}, nil
  for _, option in ipairs(about.options) do
    known[option.name] = option
    if option.type == "rows" then rows = option end
  end
  -- What is handed on is what was looked at, without metamethods.
  local given = plain(use.options)
  use.options = given
  for key, v in next, plain(given) do
    local option = known[key]
    if math.type(key) == "integer" and key > 0 then
      if not rows then
        fault(use.line, "%s takes options by name, not a list", use.connector)
        break
      end
    elseif not option or option.type == "rows" then
      fault(use.line, "'%s' is no option of %s; %s", named(key), use.connector, hint(key, known))
    else
      given[key] = check_option(use, option, v, fault)
    end
  end
  for _, option in ipairs(about.options) do
    if option.required and option.type ~= "rows" and given[option.name] == nil and
       (option.instead == nil or given[option.instead] == nil) then
      fault(use.line, "%s has no %s; write %s { %s = … }", use.connector, option.name, use.connector, option.name)
    end
  end
  if rows then check_rows(use, fault) end
  return about
end

--- Without what doesn't tell files apart; nil in /dev, where all may write.
local function file_name(path)
  if type(path) ~= "string" or path == "" or path:find("^/dev/") then return nil end
  return (path:gsub("/%.?/", "/"):gsub("^%./", ""))
end

--- No file is written by two, or read and written: the writer empties it.
local function check_files(order, fault)
  local writers = {}
  local function writer_beside(c, name)
    local base, number = name:match("^(.*)%.([1-9]%d?%d?%d?)$")
    local same, rotates = writers[name], base and writers[base]
    if same and same.by ~= c then return same.by end
    return rotates and rotates.by ~= c and rotates.keep >= tonumber(number) and rotates.by or nil
  end
  local function refuse(c, name, does)
    local other = name and writer_beside(c, name)
    if other then
      fault(c.line, "%s %s '%s', which %s in line %d writes or renames; give each a path of its own", c.title, does, clean(name),
            other.title, other.line)
    end
  end
  local function each(does)
    for _, c in ipairs(order) do
      local options = c.out.connector == "file" and c.out.options
      if options and c.kind == "sink" then
        local name, tasks = file_name(options.path), c.out.tasks or 1
        for i = 1, name and tasks or 0 do does(c, options, tasks == 1 and name or ("%s.%d"):format(name, i - 1)) end
      end
    end
  end
  each(function(c, options, name)
    local keep = options.rotate and (math.type(options.keep) == "integer" and options.keep or 5) or 0
    writers[name] = writers[name] or { by = c, keep = 0 }
    writers[name].keep = math.max(writers[name].keep, keep)
  end)
  each(function(c, _, name) refuse(c, name, "writes") end)
  for _, c in ipairs(order) do
    if c.out.connector == "file" and c.kind == "spout" then
      local options = c.out.options
      local list = type(options.paths) == "table" and options.paths or {}
      refuse(c, file_name(options.path), "reads")
      for _, path in ipairs(list) do refuse(c, file_name(path), "reads") end
    end
  end
end

--- Who reads a queue waits for those who would wait for it.
local function check_queues(order, fault)
  local readers = {}
  for _, c in ipairs(order) do
    if c.out.connector == "queue" and c.kind == "spout" and c.out.options.name then readers[c.out.options.name] = c end
  end
  for _, c in ipairs(order) do
    local options = c.out.connector == "queue" and c.kind == "sink" and c.out.options
    local reader = options and options.limit and readers[options.name]
    if reader then
      fault(c.line, "%s has a limit, and %s in line %d reads its queue '%s': when it is full that would wait, too; read it in a " ..
            "topology of its own, or leave limit out", c.title, reader.title, reader.line, clean(options.name))
    end
  end
end

return check_connector, check_files, check_queues
