local limit = param("limit", 3, "how many")
return topology "all" {
  guarantee = "at-most-once", timeout = "5s", max_pending = 100,
  config = { a = 1 },
  spout "rows" { list { { "a", 1 }, { "b", limit }, { null, array {} } },
                 fields = { "k", "n" }, tasks = 2, retries = "forever" },
  spout "made" { generator { rate = 10, count = 5,
                             make = function(i) return i end },
                 fields = { "i" } },
  spout "own" { fields = { "x" }, next = function(self) return false end,
                open = function() end, ack = function() end,
                fail = function() end, memory = "8MB", budget = "1s" },
  bolt "both" {
    from = { shuffle "rows", fields("made", "i") },
    streams = { default = { "x" }, errors = { "why" } },
    execute = { rows = function() end, made = function() end },
    tick = function() end, every = "100ms", finish = function() end,
  },
  bolt "last" { from = { global "both:errors" }, fields = {},
                execute = function() end },
  sink "text" { from = shuffle "both", stdout { format = "text" } },
  sink "gone" { from = fields("own", "x"), null {} },
}
