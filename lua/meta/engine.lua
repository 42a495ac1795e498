---@meta engine
-- What a definition file finds in its environment, for editors that speak with
-- the Lua language server: put this folder into "Lua.workspace.library".
-- Nothing here runs. docs/guide.md tells the same in sentences.

-- ---- values ----

--- What travels in a tuple: nil, booleans, 64-bit integers, floats, strings,
--- and tables of these, at most 64 deep and 16 MB; views of JSON.
---@alias engine.Value nil|boolean|integer|number|string|table|engine.Null|engine.View

--- An object or array of JSON where it lies: reading a field decodes that field,
--- `null` is a null, nil a field that isn't there. `#list`, `list[i]`, ipairs
--- and pairs (in the order of the text) work; tostring gives the text. The
--- object that a tuple brings can be changed, every other byte stays: a value
--- keeps its place, a new key goes to the end, nil removes; a table is written
--- down as it is then. What is inside it is read-only.
---@class engine.View
---@field [string|integer] any

--- A number of seconds, or a text with a unit: "5s", "100ms", "1m", "2h".
---@alias engine.Duration number|string

--- A number of bytes, or a text with a unit: "512KB", "64MB", "1GB".
---@alias engine.Size integer|string

--- Stands for nil inside a table; called with a table, the sink that forgets.
---@class engine.Null
---@overload fun(options: {}): engine.Connector
null = {}

--- Marks a table as an array: what an empty table needs to be no map.
---@generic T: table
---@param list T
---@return T list the same table
function array(list) end

---@class engine.Json
json = {}

--- The JSON of any value that may travel in a tuple.
---@param value engine.Value
---@return string
function json.encode(value) end

--- The value of a JSON text, or of a view: objects and arrays as tables, a null
--- as `null`. Or nil and why it is none.
---@param text string|engine.View
---@return engine.Value value
---@return string? why
function json.decode(text) end

-- ---- the topology ----

--- What `spout "…" { … }`, `bolt`, `sink` and `topology` give.
---@class engine.Record
---@field kind "topology"|"spout"|"bolt"|"sink"
---@field name string
---@field line integer

---@class engine.Topology
---@field [integer] engine.Record the components, in order
---@field guarantee? "at-least-once"|"at-most-once"|"exactly-once" "at-least-once" unless given
---@field timeout? engine.Duration a root without progress for so long fails; "30s"
---@field max_pending? integer roots of a spout task under way at once; by itself it adapts, up to 16384, with windows up to 1000000
---@field config? table for each component's context
---@field initial? "active"|"inactive" nothing starts before it is activated; "active"
---@field hooks? engine.Hooks of all components with functions, before their own

--- Describes the graph; the file returns what it gives.
---@param name string
---@return fun(body: engine.Topology): engine.Record
function topology(name) end

--- A component that brings tuples in: a connector first in its table, or `next`.
---@param name string letters, digits, _ and -
---@return fun(body: engine.Spout): engine.Record
function spout(name) end

--- A component that makes tuples of tuples.
---@param name string letters, digits, _ and -
---@return fun(body: engine.Bolt): engine.Record
function bolt(name) end

--- A component that takes tuples out: a connector first in its table, or
--- `execute`.
---@param name string letters, digits, _ and -
---@return fun(body: engine.Sink): engine.Record
function sink(name) end

--- A value that `--set name=text` changes; the text takes the default's type.
---@generic T
---@param name string
---@param default? T without one, the command line must give it
---@param doc? string
---@return T
function param(name, default, doc) end

-- ---- who reads whom ----

---@class engine.Grouping

--- Each tuple to one task, round robin.
---@param from string "component", or "component:stream"
---@return engine.Grouping
function shuffle(from) end

--- Tuples with equal keys to the same task.
---@param from string "component", or "component:stream"
---@param ... string fields of that stream
---@return engine.Grouping
function fields(from, ...) end

--- As shuffle; with several processes, to tasks of the sender's if there are any.
---@param from string "component", or "component:stream"
---@return engine.Grouping
function local_or_shuffle(from) end

--- Each tuple to any task, at random.
---@param from string "component", or "component:stream"
---@return engine.Grouping
function none(from) end

--- Tuples with equal keys to two tasks, to the one that the sender used less.
---@param from string "component", or "component:stream"
---@param ... string fields of that stream
---@return engine.Grouping
function partial_key(from, ...) end

--- A copy of each tuple to every task.
---@param from string "component", or "component:stream"
---@return engine.Grouping
function all(from) end

--- The sender names the task: self.emit_direct. For streams that are direct.
---@param from string "component:stream"
---@return engine.Grouping
function direct(from) end

--- The function says which tasks get a tuple. The sender calls it, so that must
--- be Lua: `tasks` are the numbers of the reader's tasks, `state` is a table of
--- the sender's task that stays.
---@param from string "component", or "component:stream"
---@param choose fun(values: engine.Value[], tasks: integer[], state: table): integer[]
---@return engine.Grouping
function custom(from, choose) end

--- All tuples to the first task.
---@param from string "component", or "component:stream"
---@return engine.Grouping
function global(from) end

-- ---- components ----

---@class engine.Component
---@field tasks? integer how many copies run, each with a self of its own; as many as executors, or 1
---@field executors? integer how many of the tasks may run at once; all
---@field config? table merged over the topology's
---@field memory? engine.Size of a task's Lua; "64MB"
---@field budget? engine.Duration of one call; "5s"
---@field every? engine.Duration how often tick is called
---@field tick? fun(self: engine.Self)
---@field cleanup? fun(self: engine.Self) the last call of a task
---@field on_reload? fun(self: engine.Self) new code has been taken over
---@field state? "durable" the task keeps self.state from checkpoint to checkpoint, over restarts with --data
---@field ttl? engine.Duration a key of self.state that wasn't written for so long is gone

---@class engine.Spout: engine.Component
---@field [1]? engine.Connector a source
---@field fields? string[] names of the values that it emits
---@field streams? table<string, string[]> for more than one stream; { direct = true, … } names its tasks. With a connector: failed, which takes what failed for good, with fields of the tuple and reason, component, task
---@field activate? fun(self: engine.SpoutSelf) it may emit from now on; also before its first next
---@field deactivate? fun(self: engine.SpoutSelf) it may not
---@field hooks? engine.Hooks emit, ack and fail: told what it does
---@field retries? integer|"forever" how often a connector's tuple is tried again; 5. Not with guarantee "exactly-once"
---@field open? fun(self: engine.SpoutSelf, context: engine.Context)
---@field next? fun(self: engine.SpoutSelf): boolean? emits; false: the input has ended
---@field ack? fun(self: engine.SpoutSelf, id: any) a tuple of emit_id is through
---@field fail? fun(self: engine.SpoutSelf, id: any, reason: string) one has failed
---@field tick? fun(self: engine.SpoutSelf)
---@field cleanup? fun(self: engine.SpoutSelf)
---@field on_reload? fun(self: engine.SpoutSelf)

---@alias engine.From engine.Grouping|engine.Grouping[]
---@alias engine.Execute fun(self: engine.Self, ...: engine.Value)

---@class engine.Bolt: engine.Component
---@field [1]? engine.Operator instead of execute
---@field from engine.From one input, or a list
---@field fields? string[] names of the values that it emits
---@field streams? table<string, string[]> for more than one stream; { direct = true, … } names its tasks
---@field prepare? fun(self: engine.Self, context: engine.Context)
---@field execute? engine.Execute|table<string, engine.Execute>|fun(self: engine.Self, window: engine.Window) one tuple; a table: by source; with `window` a window
---@field finish? fun(self: engine.Self) all inputs have ended; it may emit
---@field on_error? "fail"|"drop"|"crash" what an error in execute does to its tuple: fails it, counts it as processed, or fails it and starts the task anew; "fail"
---@field retries? integer|"forever" with guarantee "exactly-once": how often a call that fails is made again; 3
---@field acking? "auto"|"manual" "manual" gives self.hold; "auto"
---@field combine? true|fun(a: number, b: number): number of reduce_by: senders reduce numbers first
---@field window? engine.WindowOf execute(self, window) is called with the tuples of each window
---@field hooks? engine.Hooks told what it does

---@class engine.Sink: engine.Component
---@field [1]? engine.Connector a sink
---@field from engine.From one input, or a list
---@field prepare? fun(self: engine.Self, context: engine.Context)
---@field execute? engine.Execute|table<string, engine.Execute> one tuple; a table: by source
---@field finish? fun(self: engine.Self) all inputs have ended
---@field on_error? "fail"|"drop"|"crash" as a bolt's
---@field retries? integer|"forever" as a bolt's
---@field acking? "auto"|"manual" as a bolt's
---@field hooks? engine.Hooks execute, ack and fail: told what it does

--- What a hook is told; each has some of these.
---@class engine.HookInfo
---@field values? table of the tuple, values.n of them: emit, execute; a bolt's ack and fail
---@field stream? string emit: where to
---@field task? integer emit: of emit_direct
---@field id? any a spout's emit_id, ack, fail
---@field held? engine.Held ack, fail: instead of values, of a tuple that was held
---@field reason? string fail
---@field seconds? number execute: how long it took; ack: since the spout's emit, or since execute or hold began

---@alias engine.Hook fun(self: engine.Self, info: engine.HookInfo)

--- Functions that are told what a task does. An error in one is an error in
--- what it is told of.
---@class engine.Hooks
---@field emit? engine.Hook a tuple is about to be emitted; it may not emit
---@field execute? engine.Hook execute has returned
---@field ack? engine.Hook a bolt is about to ack its tuple; a spout's is through
---@field fail? engine.Hook a bolt's tuple has failed (it may not emit), or a spout's

--- Where a task stands; the argument of prepare and open.
---@class engine.Context
---@field topology string
---@field component string
---@field task integer of the whole topology
---@field index integer of the component
---@field tasks integer of the component
---@field tasks_of table<string, integer[]> the numbers of each component's tasks
---@field config table the component's over the topology's

--- Where the tuple in hand came from.
---@class engine.Tuple
---@field component string
---@field stream string
---@field task integer of the whole topology
---@field index integer of its component, from 0
---@field fields string[]

--- One table for each task: what a function puts there is there in the next
--- call, after a reload, too.
---@class engine.Self
---@field emit fun(...: engine.Value) to the default stream; with a dot
---@field emit_to fun(stream: string, ...: engine.Value)
---@field emit_direct fun(task: integer, stream: string, ...: engine.Value) to one task of a direct stream's reader
---@field hold fun(): engine.Held with acking = "manual": keeps the tuple in hand open
---@field emit_from fun(held: engine.Held[], ...: engine.Value) made of these held tuples
---@field emit_from_to fun(held: engine.Held[], stream: string, ...: engine.Value)
---@field tuple engine.Tuple? the tuple in hand; nil when there is none
---@field state engine.State with state = "durable"
---@field [any] any

--- What a task keeps: a table whose fields are read and written as any other's,
--- self.state.count = 1. A value that is a table is read-only, and what is in
--- it: use put or push, or change the copy that get gives and write it back.
--- Keys are strings, numbers and booleans; a failing call's changes are
--- taken back. pairs(self.state) walks it in the order of the keys.
---@class engine.State
---@field add fun(self: engine.State, key: engine.Key, n?: number): number adds n, or 1, to the number there; the sum
---@field push fun(self: engine.State, key: engine.Key, value: engine.Value) to the end of the list there
---@field put fun(self: engine.State, key: engine.Key, field: any, value: engine.Value?) one field of the table there
---@field get fun(self: engine.State, key: engine.Key): engine.Value? a copy of one's own; also of keys called add, get, …
---@field set fun(self: engine.State, key: engine.Key, value: engine.Value?) likewise
---@field delete fun(self: engine.State, key: engine.Key)
---@field each fun(self: engine.State, prefix?: string): fun(): engine.Key, engine.Value in order; of string keys that begin so
---@field [engine.Key] engine.Value

---@alias engine.Key string|number|boolean

--- A tuple that a bolt holds beyond its call: settle it once. One that is let
--- go of unsettled fails.
---@class engine.Held
---@field ack fun(self: engine.Held)
---@field fail fun(self: engine.Held, reason?: string)
---@field reset_timeout fun(self: engine.Held) it is worked on: its time begins anew

---@class engine.SpoutSelf: engine.Self
---@field emit_id fun(id: any, ...: engine.Value) tracked: ack or fail follows with the id
---@field emit_id_to fun(stream: string, id: any, ...: engine.Value)

-- ---- windows ----

--- A duration, or a number of tuples: "100 tuples".
---@alias engine.Span engine.Duration|string

---@class engine.WindowOf

---@class engine.WindowOptions
---@field timestamp? string the field that is a tuple's time, in seconds; without it that is when it comes
---@field lag? engine.Duration with timestamp: so much later than newer ones a tuple may come; 0
---@field late? string with timestamp: the stream, of the input's fields, to which later ones go; without it they are counted and acked
---@field allowed? engine.Duration with timestamp: a window fires again with what comes so much later; 0
---@field early? engine.Duration the open window fires with what is there, each time, if something new came

---@class engine.Sliding: engine.WindowOptions
---@field length engine.Span
---@field every? engine.Span without it with each tuple

---@class engine.Tumbling: engine.WindowOptions
---@field length engine.Span

---@class engine.Session: engine.WindowOptions
---@field gap engine.Duration a session is over when nothing came for so long
---@field by? string each value of this field has its own sessions

--- Windows of `length`, one ends each `every`; by time at full multiples of it.
---@param options engine.Sliding
---@return engine.WindowOf
function sliding(options) end

--- Windows of `length`, one behind the other.
---@param options engine.Tumbling
---@return engine.WindowOf
function tumbling(options) end

--- Windows of tuples that come within a gap of each other.
---@param options engine.Session
---@return engine.WindowOf
function session(options) end

--- A tuple in a window: t.field, t[1] and so on; t[0] is the input's name.
---@class engine.WindowTuple
---@field [string|integer] any

--- What execute is given; its lists can be read during that call only.
---@class engine.Window
---@field tuples engine.WindowTuple[] all, in order of arrival
---@field new engine.WindowTuple[] those that no window had before
---@field expired engine.WindowTuple[] those of the window before that this one hasn't
---@field count integer of tuples
---@field each fun(self: engine.Window): fun(): integer, engine.WindowTuple the
--- tuples one after another, without a list of them
---@field start number seconds; it has what came after it
---@field stop number and up to this; of counts and sessions: the times of the first and the last tuple
---@field early boolean the window isn't complete yet
---@field late boolean it has fired before, without what is new

--- Rows of several inputs, in each window: the first input's, extended by those of
--- each step with an equal key.
---   join("users.id", inner "orders.user_id", { "users.name", "orders.price" })
---@param first string "input.field"
---@param ... engine.JoinStep|string[] steps, and at the end what each row brings
---@return engine.Operator
function join(first, ...) end

---@class engine.JoinStep

--- Only rows that both sides have.
---@param path string "input.field"
---@param on? string "input.field" of an earlier input; that of `first`
---@return engine.JoinStep
function inner(path, on) end

--- All rows so far, with nil where the input has none.
---@param path string "input.field"
---@param on? string "input.field" of an earlier input; that of `first`
---@return engine.JoinStep
function left(path, on) end

--- All tuples of the input, with nil where there is no row so far.
---@param path string "input.field"
---@param on? string "input.field" of an earlier input; that of `first`
---@return engine.JoinStep
function right(path, on) end

--- What left and right bring.
---@param path string "input.field"
---@param on? string "input.field" of an earlier input; that of `first`
---@return engine.JoinStep
function full(path, on) end

--- For each key in a window: the tuples of each input, as a list (maybe empty).
---   cogroup("users.id", "orders.user_id", function(emit, key, users, orders) … end)
---@param path string "input.field"
---@param ... string|fun(emit: function, key: any, ...: engine.WindowTuple[])
---@return engine.Operator
function cogroup(path, ...) end

-- ---- operators ----

--- First in a bolt's table, it stands for execute: `bolt "split" { from =
--- shuffle "lines", words "line" }`. count_by, reduce_by and top emit when all
--- inputs have ended, and every `every` what they have then.
---@class engine.Operator

--- Brings what the function returns: the input's fields, unless `fields` of the
--- bolt names others.
---@param fn fun(...: engine.Value): ...
---@return engine.Operator
function map(fn) end

--- Keeps the tuples for which the function returns neither nil nor false.
---@param fn fun(...: engine.Value): any
---@return engine.Operator
function filter(fn) end

--- Brings what the function emits: the input's fields, unless `fields` of the
--- bolt names others.
---@param fn fun(emit: fun(...: engine.Value), ...: engine.Value)
---@return engine.Operator
function flat_map(fn) end

--- Brings the field "word": each run of ASCII letters in the text, lower-cased.
---@param field string
---@return engine.Operator
function words(field) end

--- Brings that field and "count": how often each of its values has come.
---@param field string
---@return engine.Operator
function count_by(field) end

--- Brings both fields: for each key its values, folded by the function. The
--- first value is the first sum; the function leaves its arguments alone. With
--- `combine = true` beside it senders reduce numbers by it first, with `combine =
--- fn` by another function.
---@param key string
---@param value string
---@param fn fun(sum: engine.Value, value: engine.Value): engine.Value
---@return engine.Operator
function reduce_by(key, value, fn) end

--- Brings the n tuples with the largest values of that field, the largest
--- first; of equal ones those that came first.
---@param n integer
---@param by string
---@return engine.Operator
function top(n, by) end

-- ---- connectors ----

---@class engine.Connector

---@class engine.FileOptions
---@field path? string relative to where the engine was started; a source: one
--- with * ? [ ] names all files that match, in order
---@field paths? string[] a source: several, one after another
---@field format? "text"|"json"|"csv" of the lines; "text"
---@field header? boolean a source of csv: `fields` are names of the first
--- line; true. With false they are the columns by position
---@field follow? boolean a source: wait for more at the end, as tail -F
---@field append? boolean a sink: go on behind what is there
---@field rotate? engine.Size a sink: begin a new file before it is larger; it
--- becomes path.1, what that was path.2
---@field keep? integer a sink: how many of these there are; 5
---@field segments? engine.Size a sink: files of so many bytes, path-00000001
--- and on, each of which appears when a checkpoint has it whole
---@field every? engine.Duration of segments: so old it is whole, too; "1min"

--- A source that brings the field "line"; with format = "json" the field
--- "record", a view, or the keys that `fields` of the spout names; with "csv"
--- the columns that it names; a sink. What gzip or zstd has compressed is
--- read as what it holds.
---@param options engine.FileOptions
---@return engine.Connector
function file(options) end

---@class engine.StdinOptions
---@field format? "text"|"json"|"csv" of the lines; "text"
---@field header? boolean of csv: `fields` are names of the first line; true.
--- With false they are the columns by position

--- A source that brings what `file` does.
---@param options engine.StdinOptions
---@return engine.Connector
function stdin(options) end

---@class engine.StdoutOptions
---@field format? "text"|"json"|"csv" "text" joins the values by tabs

--- A sink.
---@param options engine.StdoutOptions
---@return engine.Connector
function stdout(options) end

--- A source of the tuples that stand in it; `fields` of the spout names them.
---@param rows engine.Value[][]
---@return engine.Connector
function list(rows) end

---@class engine.QueueOptions
---@field name string of the queue
---@field group? string a source: whose position it goes by; the topology's and
--- the spout's name
---@field ends? boolean a source: end when all who write have ended and all is
--- read
---@field limit? integer a sink: records that may wait for readers; then the
--- spouts wait, too

--- A durable queue in the folder of --data: a source, `fields` of the spout
--- names its values; a sink.
---@param name string|engine.QueueOptions
---@return engine.Connector
function queue(name) end

---@class engine.GeneratorOptions
---@field rate? integer tuples a second, those due within 0.4 ms together; without it as fast as they are taken
---@field count? integer of all tuples; without it for ever
---@field make? fun(i: integer): ... the values of tuple i; without it the number

--- A source of tuples 1, 2, ….
---@param options engine.GeneratorOptions
---@return engine.Connector
function generator(options) end

-- ---- while it runs ----

---@class engine.Log
---@field trace fun(...: any)
---@field debug fun(...: any)
---@field info fun(...: any)
---@field warn fun(...: any)
---@field error fun(...: any)
log = {}

--- Seconds since 1970. Not at the top level of a file.
---@return number
function now() end

--- As math.random, by the engine's seed. Not at the top level of a file.
---@param m? integer
---@param n? integer
---@return number
---@overload fun(m: integer, n?: integer): integer
function random(m, n) end

--- Suspends a spout; in a bolt it is an error.
---@param duration engine.Duration
function sleep(duration) end

--- As pairs, in the order of the keys, which must be comparable.
---@generic K, V
---@param t table<K, V>
---@return fun(): K, V
function sorted(t) end
