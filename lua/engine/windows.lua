--- Checks what a definition says of windows and of joins over them, for plan.lua.
-- Runs once, in the loader's VM.

-- of: words of plan.lua for values; path: of joins.lua.
local of, path = ...
local clean, named, shown, plain, last_entry = of.clean, of.named, of.shown, of.plain, of.last_entry

local COUNT_MAX = 1000000000 -- tuples
local OVERLAP_MAX = 10000 -- windows that a tuple is in
local A_SPAN = "a duration like \"10s\", or a number of tuples like \"100 tuples\""
local A_DURATION = of.a_duration

-- What stands in the table of each kind.
local SPAN, TIME, NAME = "span", "time", "name"
local KINDS = {
  sliding = { length = SPAN, every = SPAN },
  tumbling = { length = SPAN },
  session = { gap = TIME, by = NAME },
}
for _, options in pairs(KINDS) do
  options.timestamp, options.late = NAME, NAME
  options.lag, options.allowed, options.early = TIME, TIME, TIME
end
local REQUIRED = { sliding = "length", tumbling = "length", session = "gap" }
local FORMS = { sliding = "sliding { length = \"20s\", every = \"10s\" }", tumbling = "tumbling { length = \"10s\" }",
                session = "session { gap = \"30s\" }" }
-- Only where tuples bring their time does this mean anything.
local OF_TIME = { "lag", "allowed", "late" }

local STEPS = { inner = true, left = true, right = true, full = true }
local JOIN_FORM = "join(\"users.id\", inner \"orders.user_id\", { \"users.name\", \"orders.price\" })"
local COGROUP_FORM = "cogroup(\"users.id\", \"orders.user_id\", function(emit, key, users, orders) … end)"

--- Microseconds, or nil and a number of tuples; nil and nil: it is neither.
local function span(v)
  if type(v) == "string" then
    local count = v:match "^%s*(%d+)%s+tuples?%s*$"
    if count then
      count = #count < 12 and math.tointeger(tonumber(count))
      if count and count >= 1 and count <= COUNT_MAX then return nil, count end
      return nil, nil
    end
  end
  local ns = of.duration(v)
  if not ns or ns < 1000 then return nil, nil end
  return ns // 1000
end

local function is_window(v)
  return type(v) == "table" and type(v.window) == "string" and KINDS[v.window] and type(v.options) == "table" and
         math.type(v.line) == "integer"
end

local M = {}

--- One option of a window: it is put into `out` as the plan has it.
local function take_option(c, use, out, key, what, v, fault)
  local function bad(should)
    fault(use.line, "%s of the window of %s is %s; give %s", key, c.title, shown(v), should)
  end
  if what == NAME then
    if type(v) ~= "string" or v == "" or v:find "%c" then bad("a name") return end
    out[key] = v
    return
  end
  local us, count
  if what == SPAN then us, count = span(v)
  elseif v == 0 and (key == "lag" or key == "allowed") then us = 0
  else
    local ns = of.duration(v)
    us = ns and ns >= 1000 and ns // 1000
  end
  if not us and not count then bad(what == SPAN and A_SPAN or A_DURATION) return end
  out[key .. "_us"], out[key .. "_count"] = us or 0, count or 0
end

--- What it is, in words that are equal when windows are.
local function text_of(kind, options)
  local parts = {}
  for key, v in next, options do parts[#parts + 1] = key .. "=" .. tostring(v) end
  table.sort(parts)
  return kind .. " " .. table.concat(parts, " ")
end

local function check_together(c, use, out, options, fault)
  local function wrong(...) fault(use.line, ...) end
  if not out.timestamp then
    for _, key in ipairs(OF_TIME) do
      if options[key] ~= nil then
        wrong("the window of %s has %s, which is for tuples that bring their time; add timestamp = \"…\", a field in seconds", c.title, key)
      end
    end
  end
  local length_us, every_us = out.length_us or 0, out.every_us or 0
  if every_us > 0 and length_us // every_us > OVERLAP_MAX then
    wrong("the window of %s is %d times as long as its every, and each tuple would be in so many; give every a larger one", c.title, length_us // every_us)
  end
  local by_count = use.window ~= "session" and out.every_us == 0
  if by_count and options.allowed ~= nil then
    wrong("the window of %s has allowed, but one that ends by count doesn't open again; leave it out", c.title)
  end
  if by_count and out.every_count == 1 and options.early ~= nil then
    wrong("the window of %s has early, but it fires with each tuple anyway; leave it out", c.title)
  end
end

--- The stream that `late` names: c.late, whose fields are its input's.
local function add_late(c, name, streams, fault)
  if not of.is_name(name) then
    fault(c.line, "late of the window of %s is %s; use letters, digits, _ and -, and no __ in front", c.title, shown(name))
  end
  for _, s in ipairs(streams) do
    if s.name == name or name == "default" then
      fault(c.line, "late of the window of %s is '%s', which is a stream of its own already; name another", c.title, clean(name))
      return
    end
  end
  c.late = { name = name, fields = {}, late = true }
  streams[#streams + 1] = c.late
end

--- Its tuples are rows of the task's state where that is kept anyway, or must be.
local function keep(c, out, guarantee)
  out.hides = not c.out.durable
  out.kept = c.out.durable or guarantee == "exactly-once"
  c.out.durable = out.kept
end

--- `window = …` of a bolt: c.out.window.
function M.take(c, streams, guarantee, fault, hint)
  local use = c.body.window
  use = type(use) == "table" and plain(use)
  if not is_window(use) then
    fault(c.line, "window of %s is %s; write window = %s", c.title, shown(c.body.window), FORMS.sliding)
    return
  end
  local options, known, out = plain(use.options), KINDS[use.window], { kind = use.window }
  for key, v in next, options do
    if known[key] then
      take_option(c, use, out, key, known[key], v, fault)
    else
      fault(use.line, "'%s' is no option of %s in %s; %s", named(key), use.window, c.title, hint(key, known))
    end
  end
  local required = REQUIRED[use.window]
  if options[required] == nil then
    fault(use.line, "the window of %s has no %s; write %s", c.title, required, FORMS[use.window])
  end
  if use.window == "tumbling" then
    out.every_us, out.every_count = out.length_us, out.length_count
  elseif use.window == "sliding" and options.every == nil then
    out.every_us, out.every_count = 0, 1
  end
  check_together(c, use, out, options, fault)
  for _, key in ipairs { "tick", "every" } do
    if c.body[key] ~= nil then
      fault(c.line, "%s has both window and %s; windows fire by their own clock, put a bolt with %s behind it", c.title, key, key)
    end
  end
  if c.body.acking == "manual" then
    fault(c.line, "%s has both window and acking = \"manual\"; a window holds its tuples itself, leave acking out", c.title)
  end
  if type(c.body.execute) == "table" then
    fault(c.line, "execute of %s is a table; with window it is one function(self, window) … end for all inputs", c.title)
  end
  out.text, out.line = text_of(use.window, options), use.line
  keep(c, out, guarantee)
  c.out.window = out
  if out.late then add_late(c, out.late, streams, fault) end
end

--- Its inputs are known: where they have the fields that it goes by.
function M.place(c, fault, hint)
  local out = c.out.window
  for _, input in ipairs(c.out.inputs) do
    out.text = ("%s, from %s: %s"):format(out.text, input.from, table.concat(input.fields, " "))
  end
  for i, s in ipairs(c.out.streams) do
    if s.late then out.late_stream = i - 1 end
  end
  for _, key in ipairs { "timestamp", "by" } do
    local places = {}
    for i, input in ipairs(c.out.inputs) do
      local all = {}
      for place, name in ipairs(input.fields) do all[name] = place - 1 end
      if out[key] and not all[out[key]] then
        fault(out.line, "%s of the window of %s is the field '%s', which '%s' doesn't bring; %s", key, c.title,
              clean(out[key]), input.source, hint(out[key], all))
      end
      places[i] = all[out[key]] or 0
    end
    out[key .. "_places"] = places
  end
  local first = c.out.inputs[1]
  for _, input in ipairs(c.out.inputs) do
    if out.late and table.concat(input.fields, "\0") ~= table.concat(first.fields, "\0") then
      fault(out.line, "the window of %s has late, but its inputs have different fields; give each a bolt of its own", c.title)
      break
    end
  end
end

--- A window that is fed by spouts alone, and waits for more tuples than these
-- may have under way, never fills.
function M.check_pending(order, plan, fault)
  if plan.max_pending == 0 or plan.guarantee == "at-most-once" then return end
  for _, c in ipairs(order) do
    local out, most = c.out.window, 0
    for _, input in ipairs(c.out.inputs) do
      local upstream = order[input.component + 1]
      most = upstream.kind == "spout" and most + plan.max_pending * upstream.out.tasks or math.huge
    end
    local needs = out and math.max(out.length_count or 0, out.every_count or 0) or 0
    if needs > most then
      fault(out.line, "the window of %s waits for %d tuples, but max_pending lets only %d be under way, so it would never fill; give max_pending = %d or more, or leave it out",
            c.title, needs, most, needs)
    end
  end
end

-- ---- joins ----

--- The steps of a join: { how, path, on }.
local function steps_of(use)
  local steps = {}
  for i = 2, use.count - 1 do
    local step = use.args[i]
    step = type(step) == "table" and plain(step)
    if not step or not STEPS[step.operator] or type(step.args) ~= "table" then return nil, i end
    local args = plain(step.args)
    if step.count < 1 or step.count > 2 or type(args[1]) ~= "string" or args[2] ~= nil and type(args[2]) ~= "string" then
      return nil, i
    end
    steps[#steps + 1] = { how = step.operator, path = args[1], on = args[2] }
  end
  return steps
end

local function picks_of(use)
  local list = use.args[use.count]
  if type(list) ~= "table" then return nil end
  list = plain(list)
  local last, missing = last_entry(list)
  if last == 0 or missing or list.operator then return nil end
  for i = 1, last do if type(list[i]) ~= "string" then return nil end end
  return list
end

local function take_join(c, use, fields, fault)
  local steps, where = steps_of(use)
  local picks = picks_of(use)
  if type(use.args[1]) ~= "string" or use.count < 3 or not steps or not picks then
    fault(use.line, "%s of join of %s is not what it should be; write %s",
          where and "argument " .. where or not picks and "the list of fields at the end" or "the first argument", c.title, JOIN_FORM)
    return fields
  end
  c.paths = { { use.args[1], key = true } }
  for _, step in ipairs(steps) do
    if step.how == "left" or step.how == "full" then c.paths[1].alone = true end
    c.paths[#c.paths + 1] = { step.path, key = true, alone = step.how == "right" or step.how == "full" }
    if step.on then c.paths[#c.paths + 1] = { step.on, before = #c.paths - 1 } end
  end
  local brought, seen = {}, {}
  for i, pick in ipairs(picks) do
    c.paths[#c.paths + 1] = { pick }
    brought[i] = pick:match "([^.]*)$"
    if seen[brought[i]] and not fields then
      fault(use.line, "join of %s would bring two fields called '%s'; name all by fields = { \"…\" }", c.title, clean(brought[i]))
    end
    seen[brought[i]] = true
  end
  if fields and #fields ~= #picks then
    fault(c.line, "join of %s brings %d fields, fields names %d", c.title, #picks, #fields)
  end
  c.out.operator = "join"
  return fields or brought
end

local function take_cogroup(c, use, fields, fault)
  local good = use.count >= 2 and type(use.args[use.count]) == "function"
  c.paths = {}
  for i = 1, use.count - 1 do
    good = good and type(use.args[i]) == "string"
    c.paths[i] = { use.args[i], key = true }
  end
  if not good then
    fault(use.line, "the arguments of cogroup of %s are not what they should be; write %s", c.title, COGROUP_FORM)
    c.paths = nil
  elseif not fields and not c.body.streams then
    fault(c.line, "%s has no fields; add fields = { \"…\" } for what cogroup's function emits", c.title)
  end
  c.out.operator = "cogroup"
  return fields
end

--- `join(…)` or `cogroup(…)`, without the inputs; gives the fields it brings.
function M.take_join(c, use, fields, fault)
  use.args = plain(use.args)
  if c.kind ~= "bolt" then
    fault(use.line, "%s can't stand in %s; it makes tuples of tuples: give it a bolt of its own", use.operator, c.title)
    return fields
  end
  for _, key in ipairs { "execute", "combine" } do
    if c.body[key] ~= nil then fault(c.line, "%s has both %s and %s; a join does that itself", c.title, use.operator, key) end
  end
  if c.body.window == nil then
    fault(use.line, "%s of %s needs a window, whose tuples it joins; add window = %s", use.operator, c.title, FORMS.tumbling)
  end
  c.join = use
  return (use.operator == "join" and take_join or take_cogroup)(c, use, fields, fault)
end

--- A key's tuples must meet in one task.
local function check_grouping(c, input, place, nested, fault)
  if c.out.tasks == 1 or input.grouping == "all" or input.grouping == "global" then return end
  if input.grouping == "fields" and #input.keys == 1 and input.keys[1] == place - 1 and not nested then return end
  fault(c.join.line, "%s of %s has %d tasks, but '%s' doesn't send tuples of one key to the same one; read it by fields(\"%s\", \"…\") with the field it is joined by, or give it one task",
        c.join.operator, c.title, c.out.tasks, input.source, input.source)
end

--- Its inputs are known: all paths lead to what they bring.
function M.place_join(c, fault)
  if not c.paths then return end
  local joined, arguments, inputs, wrong = {}, {}, {}, false
  for i, input in ipairs(c.out.inputs) do inputs[i] = { source = input.from, fields = input.fields } end
  for i, p in ipairs(c.paths) do
    local found, place, nested = path(p[1], inputs)
    arguments[i] = p[1]
    if not found then
      fault(c.join.line, "%s of %s: %s", c.join.operator, c.title, place)
      wrong = true
    elseif p.key then
      if joined[found] then
        fault(c.join.line, "%s of %s names '%s' twice; each input is joined once", c.join.operator, c.title, c.out.inputs[found].source)
      end
      joined[found] = true
      if p.alone and c.out.tasks > 1 and c.out.inputs[found].grouping == "all" then
        fault(c.join.line, "%s of %s has %d tasks that each get all of '%s', and each would bring what no row matches; read it by fields(\"%s\", \"…\"), or give it one task",
              c.join.operator, c.title, c.out.tasks, c.out.inputs[found].source, c.out.inputs[found].source)
      end
      check_grouping(c, c.out.inputs[found], place, nested, fault)
    elseif not joined[found] then
      fault(c.join.line, "%s of %s reads '%s', which isn't joined %s; name it in a step", c.join.operator, c.title, clean(p[1]),
            p.before and "yet" or "at all")
    end
  end
  for i, input in ipairs(c.out.inputs) do
    if not wrong and not joined[i] then
      fault(c.join.line, "%s of %s leaves out its input '%s'; name the field it is joined by", c.join.operator, c.title, input.source)
    end
  end
  for i = 2, c.join.count - 1 do -- a new one is another join
    local step = c.join.args[i]
    if type(step) == "table" then arguments[#arguments + 1] = step.operator end
  end
  c.out.arguments = arguments
end

return M
