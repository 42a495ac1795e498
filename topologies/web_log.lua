-- What a web server's log tells: the errors of each minute, and the paths that
-- took longest on the average. Its lines are in the common format with the
-- milliseconds behind: … [01/Jan/2001:00:40:16 +0000] "GET /PHX HTTP/1.1" 503 1044 73
--   ./build.sh data tables
--   engine run topologies/web_log.lua [--set input=FILE] [--set n=5] [--set least=50]
-- Prints a line for each minute with errors: errors	01/Jan/2001:00:14	1
-- and for each of the n slowest paths: slow	/SFO	14.90
local input = param("input", "build/data/access.log", "the log")
local n = param("n", 5, "how many paths to print")
local least = param("least", 50, "paths with fewer requests don't count")

return topology "web-log" {
  spout "lines" { file { path = input } },

  bolt "parse" {
    from = shuffle "lines",
    streams = { default = { "path", "ms" }, errors = { "minute" } },
    execute = function(self, line)
      local minute, path, status, ms = line:match '%[([^ ]+):%d%d [^%]]+%] "%u+ ([^ ]+) [^"]*" (%d+) %d+ (%d+)$'
      if not minute then error("no line of a log: " .. line) end
      self.emit(path, tonumber(ms))
      if tonumber(status) >= 500 then self.emit_to("errors", minute) end
    end,
    on_error = "drop", -- a bad line would be as bad the next time
  },

  bolt "errors" { from = global "parse:errors", count_by "minute" },

  bolt "times" {
    from = fields("parse", "path"),
    fields = { "path", "mean" },
    tasks = 2,
    prepare = function(self) self.paths = {} end,
    execute = function(self, path, ms)
      local seen = self.paths[path] or { requests = 0, ms = 0 }
      seen.requests, seen.ms = seen.requests + 1, seen.ms + ms
      self.paths[path] = seen
    end,
    finish = function(self)
      for path, seen in sorted(self.paths) do
        if seen.requests >= least then self.emit(path, seen.ms / seen.requests) end
      end
    end,
  },
  bolt "slowest" { from = global "times", top(n, "mean") },

  bolt "report" {
    from = { global "errors", global "slowest" },
    fields = { "what", "where", "figure" },
    execute = {
      errors = function(self, minute, count) self.emit("errors", minute, count) end,
      slowest = function(self, path, mean) self.emit("slow", path, ("%.2f"):format(mean)) end,
    },
  },
  sink "out" { from = global "report", stdout {} },
}
