---@meta testing
-- What a spec file finds in its environment beside log, null, array, now,
-- sorted and random (engine.lua): `engine test FILE_spec.lua` runs it.
-- Nothing here runs. docs/testing.md tells the same in sentences.

--- One test: it passes when its function returns.
---@param name string none twice in a file
---@return fun(body: fun())
function test(name) end

-- ---- runs ----

---@class engine.LoadOptions
---@field set? table<string, string|number|boolean> as --set name=value

--- Loads and checks a definition; its faults are raised.
---@param file string beside the spec file
---@param options? engine.LoadOptions
---@return engine.Runner
function load_topology(file, options) end

--- Given for a spout's tuples: it is fed while it runs.
feeder = {}

--- Tuples by spout, or by "spout:stream"; a spout that reads a file, stdin or
--- the like must be given some.
---@alias engine.Feeds table<string, engine.Value[][]>

--- Called, it runs to its end: what was emitted and received, and how it went.
---@class engine.Runner
---@field start fun(feeds?: table<string, engine.Value[][]|table>): engine.Run leaves it running in virtual time
---@overload fun(feeds?: engine.Feeds): engine.Out, engine.Run

--- By component, or "component:stream", the tuples that it emitted; by sink
--- those that it received.
---@alias engine.Out table<string, engine.Value[][]>

---@class engine.Failed
---@field reason string
---@field traceback? string of an error in Lua
---@field at number virtual seconds since the start

--- A topology that runs. What is looked at has settled first: all has happened
--- that can without time passing. Rows of a list have ids like "lines:1".
---@class engine.Run
---@field acked table ids in order; with ids that are no numbers also a set
---@field failed table<any, engine.Failed> by id
---@field out engine.Out so far
local Run = {}

--- A tuple for a feeder, tracked under the id. What fails is not emitted again.
---@param spout string or "spout:stream"
---@param id any
---@param tuple engine.Value[]
function Run:feed(spout, id, tuple) end

--- Lets time pass.
---@param duration engine.Duration
function Run:advance(duration) end

--- The next tuples that reach a bolt or sink fail before it sees them.
---@param component string
---@param count? integer 1
---@param reason? string
function Run:fail_next(component, count, reason) end

--- Kills a task; what it does just then depends on the seed.
---@param component string
---@param task? integer as context.index; 0
function Run:crash(component, task) end

--- Spouts emit; what begins inactive starts.
function Run:activate() end

--- Spouts emit nothing new.
function Run:deactivate() end

--- Ends the sources, and waits until all is through and finish has run.
---@return engine.Out
function Run:stop() end

-- ---- expectations ----

---@param value any
---@return engine.Expectation
function expect(value) end

---@class engine.Expectation
---@field never engine.Expectation the opposite
local Expectation = {}

--- Equal, tables entry by entry.
---@param value any
function Expectation:is(value) end

--- The same entries, each as often, in any order.
---@param list any[]
function Expectation:is_bag(list) end

--- An empty table or text.
function Expectation:is_empty() end

--- A table with such an entry, a text with this in it.
---@param part any
function Expectation:has(part) end

---@param pattern string a Lua pattern
function Expectation:matches(pattern) end

--- A function that raises an error.
---@param part? string of the error's text
function Expectation:fails_with(part) end
