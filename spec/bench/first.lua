-- What bench-outside starts to see the first tuple.
return topology "first" {
  spout "rows" { fields = { "n" }, list { { 1 }, { 2 }, { 3 } } },
  sink "out" { from = shuffle "rows", stdout { format = "json" } },
}
