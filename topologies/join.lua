-- Joins two tables as they come: routes with the airports that they start from.
-- Then sums the flights of each state and prints the states with most.
--   ./build.sh data tables
--   engine run topologies/join.lua [--set n=5]
-- Prints a line each, the most first: CA	824597
local airports = param("airports", "build/data/airports.csv", "CSV with iata and state")
local routes = param("routes", "build/data/flights-airport.csv", "CSV with origin and count")
local n = param("n", 5, "how many states to print")

return topology "join" {
  spout "airports" { file { path = airports, format = "csv" }, fields = { "iata", "state" } },
  spout "routes" { file { path = routes, format = "csv" }, fields = { "origin", "count" } },

  bolt "join" {
    -- Both by the code, so what belongs together meets in one task.
    from = { fields("airports", "iata"), fields("routes", "origin") },
    fields = { "state", "flights" },
    tasks = 2,
    prepare = function(self) self.states, self.waiting = {}, {} end,
    execute = {
      airports = function(self, iata, state)
        self.states[iata] = state
        for _, flights in ipairs(self.waiting[iata] or {}) do self.emit(state, flights) end
        self.waiting[iata] = nil
      end,
      routes = function(self, origin, count)
        local state, flights = self.states[origin], tonumber(count)
        if state then return self.emit(state, flights) end
        local waiting = self.waiting[origin] or {} -- its airport is still to come
        waiting[#waiting + 1] = flights
        self.waiting[origin] = waiting
      end,
    },
    finish = function(self)
      for origin, waiting in sorted(self.waiting) do
        log.warn(("%d routes from %s, which no table knows"):format(#waiting, origin))
      end
    end,
  },

  bolt "sum" {
    from = fields("join", "state"),
    tasks = 2,
    reduce_by("state", "flights", function(sum, flights) return sum + flights end),
  },
  bolt "top" { from = global "sum", top(n, "flights") },
  sink "out" { from = global "top", stdout {} },
}
