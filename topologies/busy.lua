-- The busiest hours of a web log, by the time that its lines bring: an hour is
-- looked at every ten minutes, so the busiest need not begin with a full one.
-- Its lines are in the common format: … [01/Jan/2001:00:40:16 +0000] "GET /PHX HTTP/1.1" 503 1044
--   ./build.sh data tables
--   engine run topologies/busy.lua [--set input=FILE] [--set n=5] [--set every=10m]
-- Prints a line for each of them: when it began, requests, errors, and the path
-- that was asked for most: 2001-01-02 10:50	687	52	/LAX
local input = param("input", "build/data/access.log", "the log")
local n = param("n", 5, "how many hours to print")
local every = param("every", "10m", "an hour begins so often")

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

--- Days since 1970-01-01. March begins the year, so that its last day is the leap day.
local function days(year, month, day)
  if month < 3 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

return topology "busy" {
  spout "lines" { file { path = input } },

  bolt "parse" {
    from = shuffle "lines",
    fields = { "at", "path", "status" },
    on_error = "drop", -- a bad line would be as bad the next time
    execute = function(self, line)
      local day, month, year, hour, minute, second, path, status =
        line:match '%[(%d+)/(%a+)/(%d+):(%d+):(%d+):(%d+) [^%]]+%] "%u+ ([^ ]+) [^"]*" (%d+)'
      if not MONTHS[month] then error("no line of a log: " .. line) end
      local at = days(tonumber(year), MONTHS[month], tonumber(day)) * 86400 + hour * 3600 + minute * 60 + second
      self.emit(at // 1, path, tonumber(status))
    end,
  },

  bolt "hours" {
    from = global "parse",
    fields = { "began", "requests", "errors", "path" },
    window = sliding { length = "1h", every = every, timestamp = "at", lag = "5m", late = "late" },
    execute = function(self, window)
      local errors, paths, most = 0, {}, nil
      for _, request in ipairs(window.tuples) do
        local path = request.path
        paths[path] = (paths[path] or 0) + 1
        if request.status >= 500 then errors = errors + 1 end
      end
      for path, count in sorted(paths) do
        if not most or count > paths[most] then most = path end
      end
      self.emit(window.start, window.count, errors, most)
    end,
  },
  bolt "busiest" { from = global "hours", top(n, "requests") },
  bolt "report" {
    from = global "busiest",
    map(function(began, requests, errors, path) return os.date("!%Y-%m-%d %H:%M", began), requests, errors, path end),
  },
  sink "out" { from = global "report", stdout {} },
  sink "late" { from = global "hours:late", null {} },
}
