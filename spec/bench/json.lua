-- What bench-json measures: one field of each record of a file is changed.
local output = param("output", "", "file of JSON lines; without one the records go nowhere")

return topology "json" {
  spout "in" { file { path = param("input", "build/bench/records.jsonl"), format = "json" } },

  bolt "up" {
    from = shuffle "in",
    fields = { "record" },
    execute = function(self, record)
      record.level = record.level:upper()
      self.emit(record)
    end,
  },

  sink "out" {
    from = shuffle "up",
    output == "" and null {} or file { path = output, format = "json" },
  },
}
