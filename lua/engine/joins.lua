--- What join and cogroup do with each window, in the task's VM. Without a name it
-- gives how a path like "orders.user.id" is read, for the plan.
-- name: of the operator; args: as written; inputs: { source, fields } of each;
-- null: as the vocabulary has it.
local name, args, inputs, null = ...

--- Where a path leads: the input's number, the field's place, and the keys inside
-- it (nil: the field itself). Or nil and why.
local function find(path, inputs)
  local source, field = path:match "^([^.]+)%.(.+)$"
  if not source then
    return nil, ("'%s' names no input; write \"input.field\""):format(path)
  end
  local known = {}
  for i, input in ipairs(inputs) do
    known[#known + 1] = input.source
    if input.source == source then
      for place, f in ipairs(input.fields) do
        if f == field then return i, place end
      end
      local first, rest = field:match "^([^.]+)%.(.+)$"
      for place, f in ipairs(input.fields) do
        if f == first then
          local keys = {}
          for key in rest:gmatch "[^.]+" do keys[#keys + 1] = key end
          return i, place, keys
        end
      end
      return nil, ("'%s' brings no field '%s'; there are: %s"):format(source, field, table.concat(input.fields, ", "))
    end
  end
  return nil, ("'%s' is none of its inputs; there are: %s"):format(source, table.concat(known, ", "))
end
if not name then return find end

local unpack = table.unpack

--- A path as what reads it off a tuple: its input's number and a function.
local function reader(path)
  local input, place, keys = find(path, inputs)
  if not keys then return input, function(t) return t[place] end end
  return input, function(t)
    local v = t[place]
    for _, key in ipairs(keys) do
      if type(v) ~= "table" and type(v) ~= "userdata" or v == null then return nil end
      v = v[key]
    end
    return v
  end
end

--- By what a value is found: nil: it equals nothing.
local function key_of(v, path)
  local kind = type(v)
  if v == nil or v ~= v or v == null then return nil end
  if kind == "table" then
    error(("%s: '%s' is a table, by which it can't join; name a field in it"):format(name, path), 0)
  end
  if kind == "userdata" then return tostring(v) end
  return v
end

local function tuples_by_input(window)
  local lists, number = {}, {}
  for i, input in ipairs(inputs) do lists[i], number[input.source] = {}, i end
  for _, t in ipairs(window.tuples) do
    local list = lists[number[t[0]]]
    list[#list + 1] = t
  end
  return lists
end

local make = {}

function make.join()
  local base_input, base_key = reader(args[1])
  local steps = {}
  for i = 2, #args - 1 do
    local step = args[i]
    local path, on = step.args[1], step.args[2] or args[1]
    local input, key = reader(path)
    local with, their = reader(on)
    steps[#steps + 1] = {
      input = input, key = key, path = path, with = with, their = their, on = on,
      keeps_rows = step.operator == "left" or step.operator == "full",
      keeps_new = step.operator == "right" or step.operator == "full",
    }
  end
  local picks = {}
  for i, path in next, args[#args] do -- no metamethod is asked
    local input, get = reader(path)
    picks[i] = { input = input, get = get }
  end

  --- Rows are tuples by the number of their input.
  local function extended(row, input, t)
    local copy = {}
    for i, other in next, row do copy[i] = other end
    copy[input] = t
    return copy
  end

  local function take_step(step, rows, tuples)
    local places, met, out = {}, {}, {}
    for _, t in ipairs(tuples) do
      local key = key_of(step.key(t), step.path)
      if key ~= nil then
        local list = places[key] or {}
        places[key] = list
        list[#list + 1] = t
      end
    end
    for _, row in ipairs(rows) do
      local theirs = row[step.with]
      local key = theirs and key_of(step.their(theirs), step.on)
      local found = key ~= nil and places[key]
      if found then
        for _, t in ipairs(found) do
          met[t] = true
          out[#out + 1] = extended(row, step.input, t)
        end
      elseif step.keeps_rows then
        out[#out + 1] = row
      end
    end
    if step.keeps_new then
      for _, t in ipairs(tuples) do
        if not met[t] then out[#out + 1] = { [step.input] = t } end
      end
    end
    return out
  end

  return {
    execute = function(self, window)
      local lists, rows = tuples_by_input(window), {}
      for i, t in ipairs(lists[base_input]) do rows[i] = { [base_input] = t } end
      for _, step in ipairs(steps) do rows = take_step(step, rows, lists[step.input]) end
      local emit, count = self.emit, #picks
      for _, row in ipairs(rows) do
        local values = {}
        for i = 1, count do
          local t = row[picks[i].input]
          values[i] = t and picks[i].get(t)
        end
        emit(unpack(values, 1, count))
      end
    end,
  }
end

--- Keys in the order in which they came first.
function make.cogroup()
  local fn, count = args[#args], #args - 1
  local readers = {} -- by input: the place among the lists, and the key
  for i = 1, count do
    local input, get = reader(args[i])
    readers[input] = { place = i, get = get, path = args[i] }
  end
  return {
    execute = function(self, window)
      local number, groups, order = {}, {}, {}
      for i, input in ipairs(inputs) do number[input.source] = i end
      for _, t in ipairs(window.tuples) do
        local r = readers[number[t[0]]]
        local value = r.get(t)
        local key = key_of(value, r.path)
        if key ~= nil then
          local group = groups[key]
          if not group then
            group = { key = value }
            for i = 1, count do group[i] = {} end
            groups[key], order[#order + 1] = group, group
          end
          local list = group[r.place]
          list[#list + 1] = t
        end
      end
      for _, group in ipairs(order) do fn(self.emit, group.key, unpack(group, 1, count)) end
    end,
  }
end

return make[name]()
