-- What bench-neighbour runs: a bolt that tries all it can to keep its thread,
-- beside a chain of neighbours. The neighbours' spout and sink are native ones
-- of that program, which take the places of the two that stand here; tuples
-- carry the time at which they were due.
local function loop()
  while true do end
end

local function grow(t)
  while true do t[#t + 1] = {} end
end

-- A table that seems to have no end.
local endless = {
  __len = function() return 1 << 40 end,
  __index = function() return "" end,
}

-- Each ends at the budget of its call, or at a limit before it.
local attacks = {
  loop,
  function() while true do pcall(loop) end end,
  function() while true do xpcall(error, loop) end end,
  function() coroutine.wrap(loop)() end,
  function() while true do coroutine.resume(coroutine.create(loop)) end end,
  function() table.sort({ 3, 1, 2 }, loop) end,
  function() table.sort({ 3, 1, 2 }, function() while true do pcall(loop) end end) end,
  function() ("x"):gsub(".", loop) end,
  function() ("x"):gsub(".", function() while true do coroutine.wrap(loop)() end end) end,
  function() return setmetatable({}, { __index = loop }).x end,
  function() local c <close> = setmetatable({}, { __close = loop }) end,
  function() while true do (("a"):rep(28)):find(("a?"):rep(28) .. ("a"):rep(28)) end end,
  function() while true do (("a"):rep(200)):find(".-.-.-.-b") end end,
  function() table.move({}, 1, 1 << 40, 2) end,
  function() table.concat(setmetatable({}, endless)) end,
  function() grow({}) end,
  function() local s = "x" while true do s = s .. s end end,
  function() -- recurses through C until that has no stack left
    local function f() return (("x"):gsub(".", f)) end
    f()
  end,
  function() -- a library function that is long at work
    local t = {}
    for i = 1, 500000 do t[i] = i * 7919 % 500009 end
    table.sort(t)
  end,
  function() load(("{"):rep(1000000)) end,
}

return topology "neighbours" {
  spout "attack" { generator {}, fields = { "n" }, retries = 0 },
  bolt "bad" {
    from = shuffle "attack", budget = "50ms",
    execute = function(self, n)
      attacks[n % #attacks + 1]()
      error("it was let off", 0)
    end,
  },

  spout "ticks" { fields = { "due" }, next = function() return false end },
  bolt "good" {
    from = shuffle "ticks", fields = { "due" },
    execute = function(self, due) self.emit(due) end,
  },
  sink "clock" { from = shuffle "good", execute = function() end },
}
