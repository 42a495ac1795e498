-- engine test topologies/alert_spec.lua
local run = load_topology("alert.lua", { set = { limit = "2" } })

-- Lines are made here, in the format of build/data/access.log: its own are in the end-to-end case.
local function line(minute, status)
  return { ('MCI - - [01/Jan/2001:%s:16 +0000] "GET /PHX HTTP/1.1" %d 1044 73'):format(minute, status) }
end

test "fires once, however many errors a minute has" (function()
  local out = run { lines = { line("00:40", 503), line("00:40", 503), line("00:40", 503) } }
  expect(out.out):is { { "FIRING", "01/Jan/2001:00:40" } }
end)

test "fires while the minute is still going on, not below the limit" (function()
  local t = run.start { lines = feeder }
  t:feed("lines", 1, line("00:40", 503))
  t:feed("lines", 2, line("00:40", 200))
  expect(t.out.rule):is_empty()
  t:feed("lines", 3, line("00:40", 500))
  expect(t.out.rule):is { { "FIRING", "01/Jan/2001:00:40" } }
  t:stop()
end)

test "says nothing more until a minute with fewer is over" (function()
  local out = run { lines = {
    line("00:40", 503), line("00:40", 503),
    line("00:41", 503), line("00:41", 503), -- goes on
    line("00:42", 503),
    line("00:43", 200), -- only now 00:42 is over
    line("00:44", 503), line("00:44", 503),
  } }
  expect(out.out):is {
    { "FIRING", "01/Jan/2001:00:40" },
    { "RESOLVED", "01/Jan/2001:00:42" },
    { "FIRING", "01/Jan/2001:00:44" },
  }
end)
