-- What bench-slow runs: a stream whose sink is slow, and another one beside it.
-- Both spouts and sinks are replaced by native ones of that program.
local parts = {
  guarantee = param("acked", 0, "1: the slow stream's tuples are tracked") == 1
    and "at-least-once" or "at-most-once",

  spout "quick" { fields = { "n" }, next = function() return false end },
  sink "taker" { from = shuffle "quick", execute = function() end },
}
if param("slow", 0, "1: the slow stream runs, too") == 1 then
  table.move({
    spout "numbers" { fields = { "n" }, next = function() return false end },
    sink "sleeper" { from = shuffle "numbers", execute = function() end },
  }, 1, 2, #parts + 1, parts)
end
return topology "slow" (parts)
