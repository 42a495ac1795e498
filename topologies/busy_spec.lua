-- engine test topologies/busy_spec.lua
local run = load_topology("busy.lua", { set = { n = "2", every = "30m" } })

local function request(time, path, status)
  return { ("SAT - - [%s +0000] \"GET %s HTTP/1.1\" %d 843 51"):format(time, path, status) }
end

local lines = {
  request("01/Jan/2001:00:10:00", "/PHX", 200),
  request("01/Jan/2001:00:40:05", "/PHX", 503),
  request("01/Jan/2001:00:40:00", "/CLE", 200), -- a little late
  request("01/Jan/2001:00:50:00", "/CLE", 200),
  request("01/Jan/2001:01:10:00", "/CLE", 503),
  request("28/Feb/2001:23:59:59", "/LAS", 200),
  request("01/Mar/2001:00:00:01", "/LAS", 200),
}

test "looks at each hour, and leaves out those in which nothing came" (function()
  expect(run({ lines = lines }).hours):is {
    { 978307200 - 1800, 1, 0, "/PHX" },
    { 978307200, 4, 1, "/CLE" },
    { 978307200 + 1800, 4, 2, "/CLE" },
    { 978307200 + 3600, 1, 1, "/CLE" },
    { 983404800 - 3600, 1, 0, "/LAS" },
    { 983404800 - 1800, 2, 0, "/LAS" },
    { 983404800, 1, 0, "/LAS" },
  }
end)

test "prints the busiest hours" (function()
  expect(run({ lines = lines }).out):is {
    { "2001-01-01 00:00", 4, 1, "/CLE" },
    { "2001-01-01 00:30", 4, 2, "/CLE" },
  }
end)

test "fires an hour when the log is past it, and keeps out what comes later still" (function()
  local t = run.start { lines = feeder }
  t:feed("lines", 1, request("01/Jan/2001:00:10:00", "/PHX", 200))
  t:feed("lines", 2, request("01/Jan/2001:00:35:00", "/PHX", 200))
  t:advance "1s"
  expect(t.out.hours):is_empty() -- the five minutes that are waited for
  t:feed("lines", 3, request("01/Jan/2001:00:36:00", "/PHX", 200))
  t:advance "2s"
  expect(t.out.hours):is { { 978305400, 1, 0, "/PHX" } }
  t:feed("lines", 4, request("01/Jan/2001:00:20:00", "/PHX", 200))
  t:advance "1s"
  expect(t.out["hours:late"]):is { { 978308400, "/PHX", 200 } }
  t:stop()
end)
