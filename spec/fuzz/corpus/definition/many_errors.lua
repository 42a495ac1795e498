return topology "t" {
 spout "a" { list {{1}}, feilds={"x"} },
 bolt "b" { from = shuffle "aa", execute = 5, tasks = 0 },
 sink "b" { null { x = 1 } },
 7,
}