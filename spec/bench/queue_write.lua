-- What bench-queue measures: records of 100 bytes in a queue; queue_read.lua reads them.
local filler = ("x"):rep(90)

return topology "queue-write" {
  guarantee = "exactly-once",
  spout "records" {
    generator { count = param("count", 1000000), make = function(i) return ("%010d"):format(i) .. filler end },
    fields = { "record" },
  },
  sink "queue" { from = shuffle "records", queue "bench" },
}
