-- Two identity chains side by side, for two threads; see null.lua.
local function nothing() return false end
local function emit(self, text) self.emit(text) end

return topology "chains" {
  spout "const1" { fields = { "text" }, next = nothing },
  spout "const2" { fields = { "text" }, next = nothing },
  bolt "identity1" { from = shuffle "const1", fields = { "text" }, execute = emit },
  bolt "identity2" { from = shuffle "const2", fields = { "text" }, execute = emit },
  sink "end1" { from = shuffle "identity1", execute = function() end },
  sink "end2" { from = shuffle "identity2", execute = function() end },
}
