--- Turns the record that a definition file returns into a checked plan.
-- All errors are gathered, so that a user sees them at once; each reads
-- `file:line: what; what to do`. Runs once, in the loader's VM.

-- Of C: nearest(name, names); duration(v) and size(v), in ns and bytes or nil; the
-- chunk of connectors.lua; what else a field of a stream `failed` may be, by number;
-- the chunk of windows.lua, and how joins.lua reads a path.
local nearest, duration, size, connector_checks, FAILED, window_checks, join_path = ...

local FIELDS_MAX, KEYS_MAX, TASKS_MAX = 64, 8, 1000
local ALL_TASKS_MAX = 65000 -- a root's number has 16 bits for its spout's task
local COUNT_MAX = 1000000 -- of pending tuples, of retries
local ERRORS_SHOWN = 50
local MEMORY_MIN = 64 << 10 -- of a task: a machine with its libraries, and a file
local NAME_SHOWN = 60     -- bytes
local A_DURATION, A_SIZE = "a duration like \"5s\" or \"100ms\"", "a size like \"64MB\""

local KINDS = { spout = true, bolt = true, sink = true }
-- By the values of fields, or not.
local GROUPINGS = { shuffle = "free", local_or_shuffle = "free", fields = "keys", global = "free", none = "free",
                    partial_key = "keys", all = "free", direct = "free", custom = "free" }

-- Keys of a component's table and what they hold. `later`: known to the
-- language, not to this version.
local KEYS = {
  spout = { fields = "names", tasks = "count", executors = "count", retries = "retries",
            open = "function", next = "function", ack = "function",
            fail = "function", cleanup = "function", tick = "function",
            every = "duration", on_reload = "function", config = "table",
            memory = "size", budget = "duration", streams = "streams",
            activate = "function", deactivate = "function",
            hooks = "hooks", state = "state", ttl = "duration" },
  bolt = { from = "from", fields = "names", streams = "streams",
           tasks = "count", executors = "count", prepare = "function",
           execute = "execute", tick = "function", every = "duration", finish = "function",
           cleanup = "function", on_reload = "function", config = "table",
           memory = "size", budget = "duration", on_error = "on_error",
           acking = "acking", hooks = "hooks", combine = "combine", state = "state", ttl = "duration",
           window = "window", retries = "retries" },
  sink = { from = "from", tasks = "count", executors = "count", prepare = "function",
           execute = "execute", tick = "function", every = "duration", finish = "function",
           cleanup = "function", on_reload = "function", config = "table", memory = "size",
           budget = "duration", on_error = "on_error", acking = "acking", hooks = "hooks",
           state = "state", ttl = "duration", retries = "retries" },
  topology = { guarantee = "guarantee", timeout = "duration", max_pending = "count",
               config = "table", initial = "initial", hooks = "hooks" },
}
-- Functions that are told what a task does; a topology's go for all its tasks.
local HOOKS = {
  spout = { emit = true, ack = true, fail = true },
  bolt = { emit = true, execute = true, ack = true, fail = true },
  sink = { execute = true, ack = true, fail = true },
}
HOOKS.topology = HOOKS.bolt
-- Keys whose values are words, the default first.
local CHOICES = { on_error = { "fail", "drop", "crash" }, acking = { "auto", "manual" },
                  initial = { "active", "inactive" }, state = { "durable" },
                  guarantee = { "at-least-once", "at-most-once", "exactly-once" } }

-- What stands in a bolt's table instead of execute: its arguments, how it is
-- written, the fields that it brings (nil: its input's), and whether it runs
-- without Lua, gathers until the end, and takes inputs of different fields.
local OPERATORS = {
  map       = { args = { "function" }, form = "map(function(…) … end)", free = true },
  filter    = { args = { "function" }, form = "filter(function(…) … end)" },
  flat_map  = { args = { "function" }, form = "flat_map(function(emit, …) … end)", free = true },
  words     = { args = { "field" }, form = "words \"line\"", native = true, any = true,
                brings = function() return { "word" } end },
  count_by  = { args = { "field" }, form = "count_by \"word\"", native = true, any = true, gathers = true,
                brings = function(field) return { field, "count" } end },
  reduce_by = { args = { "field", "field", "function" }, gathers = true,
                form = "reduce_by(\"key\", \"value\", function(sum, value) … end)",
                brings = function(key, value) return { key, value } end },
  top       = { args = { "count", "field" }, form = "top(10, \"count\")", native = true, gathers = true },
  join      = { joins = true }, -- windows.lua
  cogroup   = { joins = true },
}
local OPERATOR_DOES = { "prepare", "execute", "tick", "finish", "cleanup", "on_reload" }

local function suggest(name, names)
  name = tostring(name)
  local all = {}
  for n in pairs(names) do all[#all + 1] = tostring(n) end
  table.sort(all)
  local best = #name <= NAME_SHOWN and nearest(name, all)
  if best then return ("did you mean '%s'?"):format(best) end
  if #all == 0 then return "there is none" end
  return "there are: " .. table.concat(all, ", ")
end

local function is_count(v, least, most)
  return math.type(v) == "integer" and v >= least and v <= most
end

--- A text on one line, not too long, as messages show it.
local function clean(text)
  text = text:gsub("%c", "?")
  if #text <= NAME_SHOWN then return text end
  local last = NAME_SHOWN
  while last > 1 and text:byte(last + 1) & 0xc0 == 0x80 do last = last - 1 end
  return text:sub(1, last) .. "…"
end

--- A key or name of any type, and a value, as messages show them.
local function named(v)
  local kind = type(v)
  if kind == "string" then return clean(v) end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(v) end
  return "a " .. kind
end

local function shown(v)
  return type(v) == "string" and "'" .. clean(v) .. "'" or named(v)
end

--- What stands in a table itself: no metamethod is asked.
local function plain(t)
  local copy = {}
  for key, v in next, t do copy[key] = v end
  return copy
end

--- The last positional entry of a plain table, and the first that is missing
-- before it.
local function last_entry(t)
  local last = 0
  for key in next, t do
    if math.type(key) == "integer" and key > last then last = key end
  end
  for i = 1, last do if t[i] == nil then return last, i end end
  return last
end

--- A component's name, or a stream's.
local function is_name(text)
  return type(text) == "string" and text:match("^[%w_%-]+$") ~= nil and not text:match("^__")
end

--- Is it what topology "…", spout "…" and their like return?
local function is_record(v)
  return type(v) == "table" and type(v.name) == "string" and type(v.body) == "table" and
         math.type(v.line) == "integer"
end

--- Is it what words "…", map(…) and their like return?
local function is_operator(v)
  return type(v.operator) == "string" and OPERATORS[v.operator] ~= nil and type(v.args) == "table" and
         math.type(v.count) == "integer" and math.type(v.line) == "integer"
end

--- The operator that stands first in a component's table, or nil.
local function operator_of(c)
  local first = c.body[1]
  first = type(first) == "table" and plain(first)
  return first and is_operator(first) and first or nil
end

local shared = {
  is_count = is_count, is_name = is_name, clean = clean, named = named, shown = shown, plain = plain, last_entry = last_entry,
  duration = duration, size = size, a_duration = A_DURATION, a_size = A_SIZE,
}
local check_connector, check_files, check_queues = connector_checks(shared)
local windows = window_checks(shared, join_path)

--- record: what the file returned; connectors: name → description;
-- file: its path, for messages. Gives the plan, or nil and the list of errors.
local function check(record, connectors, file)
  local errors = {}
  local function fault(line, ...)
    errors[#errors + 1] = { line = line or 0, text = string.format(...) }
  end

  -- A long list costs more than it helps.
  local function hint(name, all)
    if #errors >= ERRORS_SHOWN then return "" end
    return suggest(named(name), all)
  end

  local function done(plan)
    table.sort(errors, function(a, b)
      if a.line ~= b.line then return a.line < b.line end
      return a.text < b.text
    end)
    local lines = {}
    for i, e in ipairs(errors) do
      if i > ERRORS_SHOWN then
        lines[i] = ("%s: there are %d more errors; mend these first"):format(file, #errors - ERRORS_SHOWN)
        break
      end
      lines[i] = ("%s:%d: %s"):format(file, e.line, e.text)
    end
    return plan, lines
  end

  record = type(record) == "table" and plain(record)
  if not record or record.kind ~= "topology" or not is_record(record) then
    fault(1, "the file returns no topology; end it with return topology \"name\" { … }")
    return done(nil)
  end
  record.body = plain(record.body)
  if not record.name:match("^[^/.:\\%c]+$") then
    fault(record.line, "'%s' is no name for a topology; leave out / . : and \\", clean(record.name))
  end

  local plan = { name = record.name, components = {}, guarantee = "at-least-once",
                 timeout_ns = 30000000000, max_pending = 0 } -- 0: it adapts

  --- Checks one value of a known key; returns it as the plan holds it.
  local function value(owner, key, what, v)
    local line = owner.line
    local function bad(should)
      fault(line, "%s of %s is %s; give %s", key, owner.title, shown(v), should)
    end
    if what == "function" then
      if type(v) ~= "function" then bad("a function") end
    elseif what == "combine" then
      if type(v) ~= "function" and v ~= true then
        bad("a function of two numbers, or true for reduce_by's own")
      end
    elseif what == "execute" then
      if type(v) ~= "function" and type(v) ~= "table" then
        bad("a function, or a table of functions by source")
      end
    elseif what == "count" then
      local most = (key == "tasks" or key == "executors") and TASKS_MAX or COUNT_MAX
      if not is_count(v, 1, most) then bad("a whole number from 1 to " .. most) return 1 end
    elseif what == "retries" then
      if v == "forever" then return -1 end
      if not is_count(v, 0, COUNT_MAX) then
        bad("a whole number from 0 to " .. COUNT_MAX .. ", or \"forever\"")
        return 0
      end
    elseif what == "duration" then
      local ns = duration(v)
      if not ns or ns == 0 then bad(A_DURATION) return 1 end
      return ns
    elseif what == "size" then
      local bytes = size(v)
      if not bytes or bytes == 0 then bad(A_SIZE) return 1 end
      if bytes < MEMORY_MIN then bad("64KB or more, which a task needs to begin") end
      return bytes
    elseif what == "table" then
      if type(v) ~= "table" then bad("a table") end
    elseif what == "hooks" then
      local known = HOOKS[owner.kind or "topology"]
      if type(v) ~= "table" then bad("functions by name: { ack = function(self, info) … end }") return v end
      for name, fn in next, v do
        if not known[name] then
          fault(line, "'%s' is no hook of %s; %s", named(name), owner.title, hint(name, known))
        elseif type(fn) ~= "function" then
          fault(line, "hook '%s' of %s is %s; give a function", name, owner.title, shown(fn))
        end
      end
    elseif CHOICES[what] then
      for _, choice in ipairs(CHOICES[what]) do if v == choice then return v end end
      bad('"' .. table.concat(CHOICES[what], '" or "') .. '"')
    end
    return v
  end

  local function names(owner, key, v)
    local list, seen = {}, {}
    if type(v) ~= "table" then
      fault(owner.line, "%s of %s is no list of names; give { \"word\", … }", key, owner.title)
      return list
    end
    v = plain(v)
    local last, missing = last_entry(v)
    if missing then
      fault(owner.line, "%s of %s has no entry %d; give all names", key, owner.title, missing)
    end
    for place in next, v do
      if math.type(place) ~= "integer" or place < 1 then
        fault(owner.line, "%s of %s has the key '%s'; give { \"word\", … }", key, owner.title, named(place))
      end
    end
    for i = 1, (missing or last + 1) - 1 do
      local name = v[i]
      if type(name) ~= "string" or name == "" or name:find("%c") then
        fault(owner.line, "%s of %s holds %s; give names as strings", key, owner.title, shown(name))
      elseif seen[name] then
        fault(owner.line, "%s declares field '%s' twice; rename one", owner.title, clean(name))
      else
        seen[name] = true
        list[#list + 1] = name
      end
    end
    if #list > FIELDS_MAX then
      fault(owner.line, "%s has more than %d fields; put some into a map", owner.title, FIELDS_MAX)
    end
    return list
  end

  -- The topology's own keys, then its components in order of declaration.
  local owner = { line = record.line, title = "the topology" }
  local by_name, order = {}, {}
  for key, v in next, record.body do
    if math.type(key) == "integer" and key > 0 then -- components: below
    elseif KEYS.topology[key] then
      local checked = value(owner, key, KEYS.topology[key], v)
      if key == "guarantee" then plan.guarantee = checked
      elseif key == "timeout" then plan.timeout_ns = checked
      elseif key == "max_pending" then plan.max_pending = checked
      elseif key == "initial" then plan.inactive = checked == "inactive" end
    else
      fault(record.line, "'%s' is no option of a topology; %s", named(key), hint(key, KEYS.topology))
    end
  end
  local last, missing = last_entry(record.body)
  if missing then
    fault(record.line, "entry %d of the topology is nil; is it spelled right?", missing)
    last = missing - 1
  end
  for i = 1, last do
    local c = record.body[i]
    c = type(c) == "table" and plain(c)
    if not c or not KINDS[c.kind] or not is_record(c) then
      fault(record.line, "the topology holds something that is no spout, bolt or sink; write spout \"name\" { … }")
    elseif by_name[c.name] then
      fault(c.line, "there are two components called '%s'; rename one", clean(c.name))
    else
      c.body = plain(c.body)
      by_name[c.name] = c
      order[#order + 1] = c
    end
  end

  --- The connector that stands first in a table, or nil.
  local function connector_of(c)
    local first = c.body[1]
    if type(first) == "table" then
      first = plain(first)
      if is_operator(first) then return nil end -- take_operator()
      if connectors[first.connector] and type(first.options) == "table" and math.type(first.line) == "integer" then
        if c.kind ~= "bolt" then return first end
        fault(first.line, "a connector can't stand in %s; make it a %s", c.title,
              connectors[first.connector].sink and "sink" or "spout")
        return nil
      end
    end
    if first ~= nil and c.kind == "bolt" then
      fault(c.line, "the first entry of %s is no operator; write one like words \"line\", or a key", c.title)
    elseif first ~= nil then
      fault(c.line, "the first entry of %s is no connector; write file { … } or a key", c.title)
    end
    return nil
  end

  --- Of an operator: what its arguments are.
  local function check_arguments(c, use, about)
    if use.count ~= #about.args then
      fault(use.line, "%s of %s has %d arguments; write %s", use.operator, c.title, use.count, about.form)
      return false
    end
    for i, what in ipairs(about.args) do
      local v = use.args[i]
      local fits
      if what == "function" then fits = type(v) == "function"
      elseif what == "count" then fits = is_count(v, 1, COUNT_MAX)
      else fits = type(v) == "string" and v ~= "" and not v:find("%c") end
      if not fits then
        local should = what == "function" and "a function" or what == "field" and "a field's name" or
                       "a whole number from 1 to " .. COUNT_MAX
        fault(use.line, "argument %d of %s of %s is %s; give %s: %s", i, use.operator, c.title, shown(v), should, about.form)
        return false
      end
    end
    return true
  end

  --- An operator: checks what can be without its inputs, and gives the fields
  -- that it brings (nil: its input's).
  local function take_operator(c, use, fields)
    local name, about = use.operator, OPERATORS[use.operator]
    if about.joins then return windows.take_join(c, use, fields, fault) end
    use.args = plain(use.args)
    if c.kind ~= "bolt" then
      fault(use.line, "%s can't stand in %s; it makes tuples of tuples: give it a bolt of its own", name, c.title)
      return fields
    end
    if c.body.window ~= nil then
      fault(c.line, "%s has both window and %s; windows are for execute, join and cogroup: put %s into a bolt of its own", c.title, name, name)
    end
    for _, key in ipairs(OPERATOR_DOES) do
      if c.body[key] then fault(c.line, "%s has both %s and %s; an operator does that itself", c.title, name, key) end
    end
    if c.body.every and not about.gathers then
      fault(c.line, "%s has every, but %s emits at once; leave it out", c.title, name)
    end
    if c.body.combine and name ~= "reduce_by" then
      fault(c.line, "%s has combine, which is for reduce_by; %s", c.title,
            name == "count_by" and "senders count for count_by anyway, leave it out" or "leave it out")
    end
    if c.body.streams then
      fault(c.line, "%s has streams; %s emits the default one only, which fields can name", c.title, name)
    end
    if c.body.config or about.native and c.body.budget or about.native and not about.gathers and c.body.memory then
      local key = c.body.config and "config" or c.body.budget and "budget" or "memory"
      fault(c.line, "%s has %s, which %s has no use for; leave it out", c.title, key, name)
    end
    if not check_arguments(c, use, about) then
      c.inherits = not fields
      return fields
    end
    c.use, c.about = use, about
    local brought = about.brings and about.brings(use.args[1], use.args[2])
    if not brought then
      c.inherits = not fields
    elseif not fields then
      fields = brought
      if brought[1] == brought[2] then
        fault(c.line, "%s would bring two fields called '%s'; name them: fields = { \"…\", \"…\" }", c.title, clean(brought[1]))
      end
    elseif #fields ~= #brought then
      fault(c.line, "%s brings %d field%s, %s names %d", name, #brought, #brought == 1 and "" or "s", c.title, #fields)
    end
    local out = c.out
    out.operator, out.native = name, about.native
    out.count = name == "top" and use.args[1] or 0
    out.arguments = {}
    for i, what in ipairs(about.args) do
      if what == "field" then out.arguments[#out.arguments + 1] = use.args[i] end
    end
    return fields
  end

  --- Of a spout with a connector: the fields of its default stream and of `failed`.
  local function connector_streams(c, fields)
    local failed
    if type(c.body.streams) ~= "table" then
      fault(c.line, "streams of %s is no table; write streams = { failed = { … } }", c.title)
      return fields
    end
    for stream, list in next, c.body.streams do
      if stream == "failed" then
        failed = names(c, "stream 'failed'", list)
      elseif stream ~= "default" then
        fault(c.line, "%s has a stream called %s; a connector emits to the default one and to 'failed' only, leave it out", c.title, shown(stream))
      elseif fields then
        fault(c.line, "%s has both fields and streams.default; keep one", c.title)
      else
        fields = names(c, "stream 'default'", list)
      end
    end
    return fields, failed
  end

  --- The fields of the stream `failed` are of the tuple, or say why it failed.
  local function failed_values(c, failed, fields)
    local known, values = plain(FAILED), {}
    for i, name in ipairs(fields) do known[name] = i - 1 end
    for i, name in ipairs(failed) do
      local place = known[name]
      if not place then
        fault(c.line, "stream 'failed' of %s has the field '%s', which is neither the tuple's nor reason, component or task; %s", c.title, clean(name), hint(name, known))
      elseif FAILED[name] and place ~= FAILED[name] then
        fault(c.line, "'%s' in stream 'failed' of %s is a field of the tuple, too; rename that, or leave it out", name, c.title)
      end
      values[i] = place or 0
    end
    if #failed == 0 then fault(c.line, "stream 'failed' of %s has no fields; give some of the tuple's and \"reason\"", c.title) end
    if plan.guarantee == "at-most-once" then
      fault(c.line, "nothing can come to stream 'failed' of %s: with guarantee \"at-most-once\" nobody knows what fails; leave it out", c.title)
    end
    return values
  end

  --- The fields of the stream that an operator reads first, whose fields it
  -- brings; what is wrong with its inputs is told elsewhere.
  local function inherit(c)
    local whole, late = c.inherits, c.late
    if not whole and not late then return end
    c.inherits, c.late = nil, nil -- also in a loop, which is told elsewhere
    local from = type(c.body.from) == "table" and plain(c.body.from) or {}
    local input = from.grouping and from or from[1]
    local text = type(input) == "table" and plain(input).from
    if type(text) ~= "string" then return end
    local source, stream_name = text:match("^([^:]*):(.*)$")
    local upstream = by_name[source or text]
    if not upstream then return end
    inherit(upstream)
    for _, s in ipairs(upstream.out.streams) do
      if s.name == (stream_name or "default") then
        if whole then c.out.streams[1].fields = s.fields end
        if late then late.fields = s.fields end
      end
    end
  end

  local function runs_no_lua(c)
    return c.out.native or c.out.connector and c.out.connector ~= "generator"
  end

  --- Says whether senders count or reduce first, by the field at `key`. Hooks
  -- are told of each tuple.
  local function combine(c, input, key, value)
    local name = c.use.operator
    local keyed = input.grouping == "global" or
                  input.grouping == "fields" and #input.keys == 1 and input.keys[1] == key
    if name == "count_by" then
      input.combines, input.combine_key = keyed, key
    elseif name == "reduce_by" and c.body.combine then
      local upstream = by_name[input.source]
      if not keyed then
        fault(c.line, "combine of %s needs what it reads grouped by its key alone; write fields(\"%s\", \"%s\") or global \"%s\"",
              c.title, input.source, clean(c.use.args[1]), input.source)
      elseif runs_no_lua(upstream) then
        fault(c.line, "combine of %s is called by those who send to it, but %s runs no Lua; put a bolt between them, or leave it out",
              c.title, upstream.title)
      end
      local hooked = c.body.hooks or record.body.hooks
      input.combines, input.reduces = not hooked, not hooked
      input.combine_key, input.combine_value = key, value
    end
  end

  --- An operator's inputs have what it reads; says where.
  local function place_operator(c)
    local use, about, out = c.use, c.about, c.out
    local first = out.inputs[1]
    out.places = {}
    for _, input in ipairs(out.inputs) do
      local all = {}
      if not about.any and table.concat(input.fields, "\0") ~= table.concat(first.fields, "\0") then
        fault(c.line, "the inputs of %s have different fields; %s needs the same ones: give each a bolt of its own", c.title, use.operator)
        return
      end
      for i, name in ipairs(input.fields) do all[name] = i - 1 end
      for i, name in ipairs(out.arguments) do
        if not all[name] then
          fault(use.line, "%s of %s reads the field '%s', which '%s' doesn't bring; %s", use.operator, c.title,
                clean(name), input.source, hint(name, all))
          return
        end
        out.places[#out.places + 1] = all[name]
      end
      combine(c, input, all[out.arguments[1]], all[out.arguments[2]])
    end
    if first and not about.brings and not about.free and #out.streams[1].fields ~= #first.fields then
      fault(c.line, "%s brings the %d fields of its input, %s names %d", use.operator, #first.fields, c.title, #out.streams[1].fields)
    end
  end

  for index, c in ipairs(order) do
    c.title = ("%s '%s'"):format(c.kind, clean(c.name))
    c.index = index
    local out = { name = c.name, kind = c.kind, line = c.line, tasks = 1,
                  retries = plan.guarantee == "exactly-once" and 3 or 5,
                  every_ns = 0, ttl_ns = 0, memory = 0, budget_ns = 0, on_error = "fail", streams = {}, inputs = {} }
    c.out = out
    plan.components[index] = out
    if not is_name(c.name) then
      fault(c.line, "'%s' is no name for a component; use letters, digits, _ and -, and no __ in front", clean(c.name))
    end
    local use = connector_of(c)
    local about = use and check_connector(c, use, connectors, fault, hint)
    local keys = KEYS[c.kind]
    for key, v in next, c.body do
      if math.type(key) == "integer" and key > 0 then
        if key > 1 then
          local what = use and "connector; keep one" or "operator; keep one, and give the others bolts of their own"
          fault(c.line, "%s has more than one %s", c.title, what)
        end
      elseif c.kind == "sink" and key == "fields" then -- below
      elseif keys[key] then
        local checked = value(c, key, keys[key], v)
        if key == "tasks" or key == "executors" or key == "on_error" or key == "memory" then out[key] = checked
        elseif key == "retries" then
          out.retries = checked
          local in_place = plan.guarantee == "exactly-once" or c.body.window ~= nil and c.body.state ~= nil
          if (c.kind == "spout") == in_place then
            fault(c.line, "retries of %s is %s guarantee \"exactly-once\"; leave it out", c.title,
                  c.kind == "spout" and "for bolts and sinks with" or "for")
          end
        elseif key == "every" then out.every_ns = checked
        elseif key == "ttl" then out.ttl_ns = checked
        elseif key == "acking" then out.manual = checked == "manual"
        elseif key == "state" then out.durable = checked == "durable"
        elseif key == "budget" then out.budget_ns = checked end
      else
        fault(c.line, "'%s' is no option of a %s; %s", named(key), c.kind, hint(key, keys))
      end
    end
    if c.body.tasks == nil then
      out.tasks = out.executors or 1
    elseif is_count(c.body.executors, out.tasks + 1, TASKS_MAX) then
      fault(c.line, "%s has %d executors for %d task%s, and each needs one to work for; give it tasks = %d, or fewer executors", c.title, out.executors, out.tasks, out.tasks == 1 and "" or "s", out.executors)
    end
    out.executors = out.executors or out.tasks
    local operator = operator_of(c)
    local gathers = operator and OPERATORS[operator.operator].gathers
    out.durable = out.durable or gathers and plan.guarantee == "exactly-once"
    if c.body.combine and not operator then
      fault(c.line, "%s has combine, which is for reduce_by; leave it out", c.title)
    end
    if operator or c.body.window ~= nil then -- below
    elseif c.body.every and not c.body.tick then
      fault(c.line, "%s has every but no tick; add tick = function(self) … end", c.title)
    elseif c.body.tick and not c.body.every then
      fault(c.line, "%s has tick but no every; add every = \"1s\"", c.title)
    end

    -- What it brings.
    local fields, failed = c.body.fields and names(c, "fields", c.body.fields), nil
    local connects = use ~= nil and c.kind == "spout"
    if connects and c.body.streams ~= nil then fields, failed = connector_streams(c, fields) end
    if use and about then
      out.connector, out.options = use.connector, use.options
      if c.kind == "spout" then
        -- Of records `fields` picks by name; nil: no such format, false: it must.
        local whole = about.records and use.options.format and about.records[use.options.format]
        if whole ~= nil then
          out.names_fields = fields ~= nil
          fields = fields or whole and { whole }
          if not fields then
            fault(c.line, "%s has no fields; add fields = { \"…\" }", c.title)
          elseif #fields == 0 then
            fault(c.line, "fields of %s is empty; name what it picks of each record%s", c.title,
                  whole and ", or leave it out" or "")
          end
        elseif about.field then
          fields = fields or { about.field }
          if #fields ~= 1 then
            fault(c.line, "%s brings 1 field, %s names %d", use.connector, c.title, #fields)
          end
        elseif not fields then
          fault(c.line, "%s has no fields; add fields = { \"…\" }", c.title)
        elseif use.arity and use.arity > #fields then
          fault(use.line, "a tuple of %s has %d values, fields names %d", use.connector, use.arity, #fields)
        end
      end
      for _, key in ipairs { "open", "next", "execute", "prepare", "tick", "finish", "activate", "deactivate",
                             "on_error", "acking" } do
        if c.body[key] then
          fault(c.line, "%s has both %s and %s; a connector does that itself", c.title, use.connector, key)
        end
      end
    elseif c.body[1] == nil then
      local needed = c.kind == "spout" and "next" or "execute"
      if not c.body[needed] then
        fault(c.line, "%s has no %s; add %s = function(self, …) … end%s", c.title, needed, needed,
              c.kind == "bolt" and "" or ", or a connector")
      end
    end
    if c.body.ttl ~= nil and c.body.state == nil then
      fault(c.line, "%s has ttl, which is of what it keeps in self.state; add state = \"durable\", or leave it out", c.title)
    end
    local runs_without = use and use.connector or operator and OPERATORS[operator.operator].native and operator.operator
    if c.body.state and (use or operator and not gathers and not OPERATORS[operator.operator].joins) then
      fault(c.line, "%s has state, but %s keeps none of yours; give it to a component with functions", c.title, use and use.connector or operator.operator)
    end
    if c.body.hooks and runs_without then
      fault(c.line, "%s has hooks, but %s runs without Lua and calls none; give them to a component with functions", c.title, runs_without)
    end
    if operator then fields = take_operator(c, operator, fields) end
    local streams = {}
    if c.kind == "sink" then
      if fields then fault(c.line, "%s has fields; a sink brings none, leave them out", c.title) end
    elseif connects or not c.body.streams then
      streams[1] = { name = "default", fields = fields or {} }
      streams[2] = failed and { name = "failed", fields = failed }
      if failed then out.failed_stream, out.failed_values = 1, failed_values(c, failed, fields or {}) end
    elseif fields then
      fault(c.line, "%s has both fields and streams; put the fields into streams.default", c.title)
      streams[1] = { name = "default", fields = fields }
    elseif type(c.body.streams) ~= "table" then
      fault(c.line, "streams of %s is no table; write streams = { default = { … } }", c.title)
    else
      for stream, list in next, c.body.streams do
        if not is_name(stream) then
          fault(c.line, "%s has a stream called %s; use letters, digits, _ and -, and no __ in front", c.title, shown(stream))
        else
          local direct = nil
          if type(list) == "table" then
            list = plain(list)
            list.direct, direct = nil, list.direct
          end
          if direct ~= nil and type(direct) ~= "boolean" then
            fault(c.line, "direct of stream '%s' of %s is %s; give true or false", stream, c.title, shown(direct))
          end
          streams[#streams + 1] = { name = stream, direct = direct == true,
                                    fields = names(c, "stream '" .. stream .. "'", list) }
        end
      end
    end
    if c.body.window ~= nil then windows.take(c, streams, plan.guarantee, fault, hint) end
    table.sort(streams, function(a, b)
      if (a.name == "default") ~= (b.name == "default") then return a.name == "default" end
      return a.name < b.name
    end)
    -- What self.emit names is always there: for those who declare no such
    -- stream it has no fields, and nobody can read it.
    if not streams[1] or streams[1].name ~= "default" then
      table.insert(streams, 1, { name = "default", fields = {}, hidden = true })
    end
    out.streams = streams
  end
  for _, c in ipairs(order) do inherit(c) end

  -- Who reads whom.
  for _, c in ipairs(order) do
    local from = c.body.from
    if c.kind == "spout" then goto continue end
    if from == nil then
      fault(c.line, "%s reads nothing; add from = shuffle \"…\"", c.title)
      goto continue
    end
    if type(from) == "table" then from = plain(from) end
    if type(from) == "table" and from.grouping then from = { from } end
    if type(from) ~= "table" or next(from) == nil then
      fault(c.line, "from of %s is no grouping; write from = shuffle \"…\"", c.title)
      goto continue
    end
    local last, missing = last_entry(from)
    if missing then
      fault(c.line, "entry %d in from of %s is nil; is it spelled right?", missing, c.title)
      goto continue
    end
    for key in next, from do
      if math.type(key) ~= "integer" or key < 1 then
        fault(c.line, "from of %s has the key '%s'; write from = { shuffle \"…\", … }", c.title, named(key))
        goto continue
      end
    end
    for i = 1, last do
      local input = from[i]
      if type(input) == "table" then input = plain(input) end
      if type(input) ~= "table" or not GROUPINGS[input.grouping] or type(input.from) ~= "string" or
         type(input.keys) ~= "table" or math.type(input.line) ~= "integer" then
        fault(c.line, "from of %s holds %s; write shuffle \"…\", fields(\"…\", \"key\") or global \"…\"", c.title, shown(input))
      else
        input.keys = plain(input.keys)
        local source, stream_name = input.from:match("^([^:]*):(.*)$")
        source, stream_name = source or input.from, stream_name or "default"
        local upstream = by_name[source]
        if source:match("^__") or stream_name:match("^__") then
          fault(input.line, "%s reads '%s', but the engine sends no tuples of its own: a bolt ticks with every = \"1s\", and hooks tell what tasks do", c.title, clean(input.from))
        elseif not upstream then
          fault(input.line, "%s reads '%s', which is no component; %s", c.title, clean(source), hint(source, by_name))
        elseif upstream.kind == "sink" then
          fault(input.line, "%s reads '%s', which is a sink; read a spout or bolt", c.title, clean(source))
        else
          local found, all = nil, {}
          for i, s in ipairs(upstream.out.streams) do
            if not s.hidden then
              all[s.name] = true
              if s.name == stream_name then found = i end
            end
          end
          if not found then
            fault(input.line, "%s has no stream '%s'; %s", upstream.title, clean(stream_name), hint(stream_name, all))
          else
            local keys, places, known = {}, {}, {}
            for i, name in ipairs(upstream.out.streams[found].fields) do
              places[name], known[name] = i, true
            end
            local key_count, no_key = last_entry(input.keys)
            for i = 1, (no_key or key_count + 1) - 1 do
              local key = input.keys[i]
              if not places[key] then
                fault(input.line, "stream '%s' of %s has no field '%s'; %s", stream_name, upstream.title, named(key), hint(key, known))
              else
                keys[#keys + 1] = places[key] - 1
              end
            end
            if no_key then
              fault(input.line, "key %d of %s(\"%s\", …) is nil; give a field's name", no_key, input.grouping, source)
            elseif (GROUPINGS[input.grouping] == "keys") ~= (key_count > 0) then
              fault(input.line, "%s(\"%s\") names no key; write %s(\"%s\", \"key\")", input.grouping, source, input.grouping, source)
            elseif #keys > KEYS_MAX then
              fault(input.line, "%s(\"%s\", …) has more than %d keys", input.grouping, source, KEYS_MAX)
            elseif input.grouping == "custom" and runs_no_lua(upstream) then
              fault(input.line, "custom reads %s, which runs no Lua to choose the task; put a bolt between them", upstream.title)
            elseif input.grouping == "custom" and upstream.out.streams[found].late then
              fault(input.line, "custom reads the late tuples of %s, for which no Lua runs to choose the task; put a bolt between them", upstream.title)
            elseif upstream.out.streams[found].direct and input.grouping ~= "direct" then
              fault(input.line, "stream '%s' of %s is direct; read it with direct \"%s\"", stream_name, upstream.title, clean(input.from))
            elseif input.grouping == "direct" and not upstream.out.streams[found].direct then
              fault(input.line, "stream '%s' of %s is not direct; declare it as %s = { direct = true, … }", stream_name, upstream.title, stream_name)
            end
            c.out.inputs[#c.out.inputs + 1] = {
              component = upstream.index - 1, stream = found - 1, grouping = input.grouping,
              keys = keys, source = source, fields = upstream.out.streams[found].fields,
              from = stream_name == "default" and source or source .. ":" .. stream_name,
            }
          end
        end
      end
    end
    if c.use then place_operator(c) end
    if c.out.window then windows.place(c, fault, hint) end
    if c.join then windows.place_join(c, fault) end
    -- One function for inputs of different layout would mix up its arguments.
    local execute, inputs = c.body.execute, c.out.inputs
    if c.kind == "sink" and c.out.connector and c.out.options.format == "csv" then
      for i = 2, #inputs do
        if table.concat(inputs[i].fields, "\0") ~= table.concat(inputs[1].fields, "\0") then
          fault(c.line, "the inputs of %s have different fields, and format = \"csv\" has one header; give each a sink of its own", c.title)
          break
        end
      end
    end
    if type(execute) == "table" then execute = plain(execute) end
    if type(execute) == "function" and not c.out.window then
      for i = 2, #inputs do
        if table.concat(inputs[i].fields, "\0") ~= table.concat(inputs[1].fields, "\0") then
          fault(c.line, "the inputs of %s have different fields; write execute = { %s = function(self, …) … end, … }", c.title, inputs[1].source)
          break
        end
      end
    elseif type(execute) == "table" then
      local sources = {}
      for _, input in ipairs(inputs) do
        sources[input.source] = true
        if type(execute[input.source]) ~= "function" then
          fault(c.line, "execute of %s has no function for '%s'; add %s = function(self, …) … end", c.title, input.source, input.source)
        end
      end
      for source in pairs(execute) do
        if not sources[source] then
          fault(c.line, "execute of %s has a function for '%s', which it doesn't read; %s", c.title, named(source), hint(source, sources))
        end
      end
    end
    ::continue::
  end

  check_files(order, fault)
  check_queues(order, fault)
  windows.check_pending(order, plan, fault)

  -- Everything must be reached from a spout, or it waits for ever.
  local spouts, guests, tasks = 0, 0, 0
  for _, c in ipairs(order) do
    tasks = tasks + c.out.tasks
    if c.kind == "spout" then spouts = spouts + 1 end
    if not c.out.connector and not c.out.native then guests = guests + 1 end
  end
  if record.body.hooks and guests == 0 then
    fault(record.line, "the topology has hooks, but none of its components has functions that call them; leave them out")
  end
  if tasks > ALL_TASKS_MAX then
    fault(record.line, "the topology has %d tasks in all; give it %d at most", tasks, ALL_TASKS_MAX)
  end
  if spouts == 0 then
    fault(record.line, "the topology has no spout; add spout \"name\" { … }")
  elseif #errors == 0 then
    local ways, reached, queue = {}, {}, {} -- ways: who reads it, by which input
    for i, c in ipairs(order) do
      ways[i] = ways[i] or {}
      for _, input in ipairs(c.out.inputs) do
        local up = input.component + 1
        ways[up] = ways[up] or {}
        table.insert(ways[up], { reader = i, input = input })
      end
      if c.kind == "spout" then reached[i], queue[#queue + 1] = true, i end
    end
    for _, i in ipairs(queue) do -- grows while it is walked
      for _, way in ipairs(ways[i]) do
        local reader = way.reader
        if not reached[reader] then reached[reader], queue[#queue + 1] = true, reader end
      end
    end
    for i, c in ipairs(order) do
      if not reached[i] then fault(c.line, "%s is reached by no spout; check its from", c.title) end
    end
    -- Loops: on a walk from the spouts, in order of declaration, what leads back
    -- onto the way is a back edge. Who can reach each other are in one loop.
    -- Source: Tarjan, "Depth-first search and linear graph algorithms", 1972.
    local count, found, low, open, stack = 0, {}, {}, {}, {}
    plan.loops = 0
    local function visit(i)
      count = count + 1
      found[i], low[i], open[i] = count, count, "on the way"
      stack[#stack + 1] = i
      local circle = false
      for _, way in ipairs(ways[i]) do
        local to = way.reader
        if not found[to] then
          visit(to)
          low[i] = math.min(low[i], low[to])
        elseif open[to] then
          low[i] = math.min(low[i], found[to])
          circle = circle or to == i
          if open[to] == "on the way" then way.input.back, way.input.combines = true, nil end
        end
      end
      open[i] = "behind"
      if low[i] < found[i] then return end
      if circle or stack[#stack] ~= i then plan.loops = plan.loops + 1 else circle = nil end
      repeat
        local member = table.remove(stack)
        open[member] = nil
        order[member].out.loop = circle ~= nil and plan.loops or nil
      until member == i
    end
    for i, c in ipairs(order) do if c.kind == "spout" and not found[i] then visit(i) end end
  end
  if #errors > 0 then return done(nil) end
  return done(plan)
end

return { check, suggest }
