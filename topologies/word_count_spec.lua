-- engine test topologies/word_count_spec.lua
local run = load_topology "word_count.lua"

test "counts each word" (function()
  local out = run { lines = { {"the cow"}, {"the moon"} } }
  expect(out.count):is_bag { {"the", 2}, {"cow", 1}, {"moon", 1} }
end)

test "hands the counts to its sink" (function()
  local out = run { lines = { {"over the moon"} } }
  expect(out.out):is_bag(out.count)
end)

test "takes a word however it is written" (function()
  local out = run { lines = { {"The THE, the; cow's!"} } }
  expect(out.split):is { {"the"}, {"the"}, {"the"}, {"cow"}, {"s"} }
  expect(out.count):is_bag { {"the", 3}, {"cow", 1}, {"s", 1} }
end)

test "counts nothing where there are no words" (function()
  local out = run { lines = { {""}, {"  1234 --"} } }
  expect(out.split):is_empty()
  expect(out.count):is_empty()
end)

test "counts a line once more when a task has failed it" (function()
  local t = run.start { lines = { {"the cow"} } }
  t:fail_next("split", 1, "not today")
  t:advance "1s"
  expect(t.acked):is { "lines:1" }
  expect(t:stop().count):is_bag { {"the", 1}, {"cow", 1} }
end)

test "acks a line when all its words are counted" (function()
  local t = run.start { lines = feeder }
  t:feed("lines", "first", { "the cow" })
  t:feed("lines", "second", { "the moon" })
  expect(t.acked):has "first"
  t:fail_next("count", 1, "no room for that word")
  t:feed("lines", "third", { "jumped" })
  expect(t.failed.third.reason):is "no room for that word"
  expect(t.acked.third).never:is(true)
  expect(t.out.count):is_empty() -- the counts come when the input has ended
  t:stop()
  expect(t.out.count):is_bag { {"the", 2}, {"cow", 1}, {"moon", 1} }
end)
