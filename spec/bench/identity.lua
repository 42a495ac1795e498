-- The graph of bench-stream's identity shapes; see null.lua.
return topology "identity" {
  spout "const" { fields = { "text" }, next = function() return false end },
  bolt "identity" {
    from = shuffle "const",
    fields = { "text" },
    execute = function(self, text) self.emit(text) end,
  },
  sink "end" { from = shuffle "identity", execute = function(self, text) end },
}
