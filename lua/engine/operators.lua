--- What map, filter, flat_map and reduce_by do: makes of such an operator the
-- functions of a bolt. Runs in the task's VM; `self` is the task's.
-- name: of the operator; args: as written; fields: of the input; durable: it
-- has self.state.
local name, args, fields, durable = ...

local function place(field)
  for i, f in ipairs(fields) do
    if f == field then return i end
  end
end

local make = {}

function make.map(fn)
  return { execute = function(self, ...) self.emit(fn(...)) end }
end

function make.filter(fn)
  return { execute = function(self, ...) if fn(...) then self.emit(...) end end }
end

function make.flat_map(fn)
  return { execute = function(self, ...) fn(self.emit, ...) end }
end

-- Its state is the task's: new code goes on with it. Keys stand in the order in
-- which they came first; `sums` may hold nil. A record of JSON is another value
-- each time: its place is found by its text.
function make.reduce_by(key_field, value_field, fn)
  local key_at, value_at = place(key_field), place(value_field)

  local function refuse(what, advice)
    error(("reduce_by: field '%s' is %s, %s"):format(key_field, what, advice), 0)
  end

  local function emit_all(self)
    local emit, keys, sums = self.emit, self.keys, self.sums
    for i = 1, self.count do emit(keys[i], sums[i]) end
  end

  -- What stays, before it changes here: a call that fails has it taken back.
  local function note(self, at, key, value)
    if durable then self.state[at] = { key, value } end
  end

  local function place_of(self, key)
    if type(key) == "userdata" then return self.texts, tostring(key) end
    return self.places, key
  end

  -- A key's place is known when all that stands there does: memory may run out.
  local function add_key(self, places, index, key, value)
    local at = self.count + 1
    self.keys[at] = key
    self.sums[at] = value
    places[index] = at
    self.count = at
  end

  -- Of the batch in hand, that senders have combined: what its rows changed.
  local begun, places, sums, changed, sums_before, changes, count_before
  local function forget() begun, changed, sums_before = false, nil, nil end

  return {
    prepare = function(self)
      self.count, self.keys, self.sums, self.places, self.texts = 0, {}, {}, {}, {}
      if not durable then return end
      for _, row in pairs(self.state) do
        local places, index = place_of(self, row[1])
        add_key(self, places, index, row[1], row[2])
      end
    end,
    begin_rows = function(self)
      changed, sums_before = {}, {}
      begun, changes, count_before, places, sums = true, 0, self.count, self.places, self.sums
    end,
    end_rows = function(self)
      for i = 1, durable and changes or 0 do note(self, changed[i], self.keys[changed[i]], sums[changed[i]]) end
      for at = count_before + 1, durable and self.count or 0 do note(self, at, self.keys[at], sums[at]) end
      forget()
    end,
    row = function(self, key, value)
      local at = places[key]
      if not at then return add_key(self, places, key, key, value) end
      local sum, change = sums[at], changes + 1
      changed[change], sums_before[change], changes = at, sum, change
      sums[at] = fn(sum, value)
    end,
    undo_rows = function(self)
      if not begun then return end
      for i = changes, 1, -1 do sums[changed[i]] = sums_before[i] end
      for at = self.count, count_before + 1, -1 do places[self.keys[at]] = nil end
      self.count = count_before
      forget()
    end,
    execute = function(self, ...)
      local key, value = (select(key_at, ...)), (select(value_at, ...))
      if key == nil then refuse("nil", "which is no key; emit another value") end
      if key ~= key then refuse("NaN", "which is no key; emit another value") end
      if type(key) == "table" then refuse("a table", "by which it can't group; emit a text or a number") end
      local places, index = place_of(self, key)
      local at = places[index]
      if at then value = fn(self.sums[at], value) end
      note(self, at or self.count + 1, key, value)
      if at then self.sums[at] = value else add_key(self, places, index, key, value) end
    end,
    tick = emit_all,
    finish = emit_all,
  }
end

-- No metamethod is asked: the call around has no budget.
local given = {}
for i, v in next, args do given[i] = v end
return make[name](given[1], given[2], given[3])
