--- Puts hooks around what a component does: those of the topology, then those
-- of the component. Runs in the task's VM when code is taken over.
-- body: the component's table; outer, inner: the topology's hooks and its own,
-- or nil. Of C: clock() in ns; is_held(): does the call in hand hold its tuple;
-- is_refused(): was one of its emits; took(): seconds of the root in hand.
local body, is_spout, outer, inner, clock, is_held, is_refused, took = ...

-- What was checked: no metamethod is asked.
local function own(hooks, name)
  for key, v in next, hooks or {} do
    if key == name then return v end
  end
end

local function both(name)
  local first, second = own(outer, name), own(inner, name)
  if not (first and second) then return first or second end
  return function(self, info)
    first(self, info)
    second(self, info)
  end
end

local emitted, executed, acked, failed = both "emit", both "execute", both "ack", both "fail"

-- The caller's table is also the topology's: it stays as it is.
local hooked = {}
for key, v in next, body do hooked[key] = v end

local function around(execute)
  return function(self, ...)
    local began = clock()
    execute(self, ...)
    if is_refused() then error("a part of what it emitted was refused", 0) end
    local info = { values = table.pack(...), seconds = (clock() - began) / 1e9 }
    if executed then executed(self, info) end
    if acked and not is_held() then acked(self, info) end
  end
end

if is_spout then
  local ack, fail = own(body, "ack"), own(body, "fail")
  if acked then
    hooked.ack = function(self, id)
      local seconds = took()
      if ack then ack(self, id) end
      acked(self, { id = id, seconds = seconds })
    end
  end
  if failed then
    hooked.fail = function(self, id, reason)
      local seconds = took()
      if fail then fail(self, id, reason) end
      failed(self, { id = id, reason = reason, seconds = seconds })
    end
  end
elseif executed or acked then
  local execute = own(body, "execute")
  if type(execute) == "table" then
    hooked.execute = {}
    for source, fn in next, execute do hooked.execute[source] = around(fn) end
  else
    hooked.execute = around(execute)
  end
end

-- What it emitted would be hooked in turn, without an end.
local inside = false
local leave = setmetatable({}, { __close = function() inside = false end })
local function alone(self, info)
  if inside then error("the hook 'emit' emits; it is told of emits, emit in another function", 0) end
  local scope <close> = leave
  inside = true
  emitted(self, info)
end

return hooked, emitted and alone, acked, failed
