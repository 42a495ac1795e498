-- What run.sh kills: numbers go through a queue, are counted, and are written to a file, each once.
local rate = param("rate", 10000, "numbers a second")

return topology "copy" {
  guarantee = "exactly-once",
  spout "numbers" {
    generator { count = param("count", 1000000, "numbers"), rate = rate },
    fields = { "n" },
  },
  bolt "count" {
    from = shuffle "numbers",
    fields = { "n" },
    state = "durable",
    prepare = function(self) self.failed = {} end,
    execute = function(self, n)
      local failed = self.failed
      self.emit(n)
      if self.state:add "all" ~= n then error "a number was lost, or came twice" end
      if not self.began then log.info "the first" end
      self.began = true
      if n % 100 == 0 and not failed[n] then
        failed[n] = true
        error "it is made again"
      end
      failed[n] = nil
    end,
  },
  sink "queue" { from = shuffle "count", queue "numbers" },
}
