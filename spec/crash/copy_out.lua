-- What run.sh kills: writes what copy.lua has put into a queue to a file, and to segments.
return topology "copy-out" {
  guarantee = "exactly-once",
  spout "numbers" { queue { name = "numbers", ends = true }, fields = { "n" } },
  sink "out" { from = global "numbers", file { path = "copy.txt" } },
  sink "parts" { from = global "numbers", file { path = "part.txt", segments = "4KB" } },
}
