-- engine test topologies/web_log_spec.lua
local run = load_topology("web_log.lua", { set = { n = "2", least = "2" } })

-- Lines of build/data/access.log. Expected is what this says of them:
--   awk '{ t[$7] += $NF; r[$7]++ } $9 > 499 { e[substr($4, 2, 17)]++ }
--        END { for (p in r) if (r[p] > 1) print p, t[p] / r[p]; for (m in e) print m, e[m] }'
local lines = {
  { 'SAT - - [01/Jan/2001:00:40:05 +0000] "GET /PHX HTTP/1.1" 200 843 51' },
  { 'MCI - - [01/Jan/2001:00:40:16 +0000] "GET /PHX HTTP/1.1" 503 1044 73' },
  { 'MDW - - [01/Jan/2001:00:40:20 +0000] "GET /CLE HTTP/1.1" 503 307 101' },
  { 'BHM - - [01/Jan/2001:00:40:35 +0000] "GET /MDW HTTP/1.1" 200 570 0' },
  { 'BHM - - [01/Jan/2001:00:40:48 +0000] "GET /MDW HTTP/1.1" 503 570 100' },
  { 'ONT - - [01/Jan/2001:00:41:18 +0000] "GET /LAS HTTP/1.1" 200 197 27' },
  { 'SAN - - [01/Jan/2001:00:41:19 +0000] "GET /LAS HTTP/1.1" 503 258 99' },
}

test "counts the errors of each minute, in the order of the log" (function()
  expect(run({ lines = lines }).errors):is { { "01/Jan/2001:00:40", 3 }, { "01/Jan/2001:00:41", 1 } }
end)

test "prints the slowest paths, none of which has too few requests" (function()
  local out = run { lines = lines }
  expect(out.slowest):is { { "/LAS", 63 }, { "/PHX", 62 } } -- /MDW is third; /CLE was asked for once
  expect(out.out):has { "slow", "/LAS", "63.00" }
end)

test "goes on behind a line that is none" (function()
  local out = run { lines = { { "not a line" }, lines[3] } }
  expect(out.out):is { { "errors", "01/Jan/2001:00:40", 1 } }
end)
