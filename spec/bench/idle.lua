-- What bench-outside watches while next to nothing happens.
return topology "idle" {
  spout "ticks" { fields = { "n" }, generator { rate = 1 } },
  sink "out" { from = shuffle "ticks", stdout { format = "json" } },
}
