-- table.lua - runs the engine's benchmarks beside their peers', prints a table.
--   lua5.4 spec/bench/table.lua [--quick] [--only PATTERN] [--runs N]
--                               [--with PROGRAM=COMMAND]...
-- from the project's folder, with bench-clock and the others built; `./build.sh
-- bench` does both. --only finds text in the names, * standing for anything.
--
-- How programs are called. There are two ways to report:
--   line   the program measures itself and prints `shape messages cpu_ns wall_ns
--          check [bytes N] [NAME N]...`, times and bytes for one message; limit.c
--          says what each shape sends. `messages` must be {n}; `check` is `ok`,
--          or a sum that must be the expected one; anything else makes the row
--          wrong. Of the names that follow VALUES knows some; the others are for
--          the reader of runs.
--   words  the program prints a word count: `word count` lines or JSON objects
--          with "word" and "count", in any order. It is sorted here and must
--          equal, byte for byte, the first program's; cost is that of the
--          process and its children, as bench-clock sees it.
-- In commands {n} is the number of messages, {book} the text; --with replaces
-- the command of every program of that name (use --only to narrow it). A file
-- it names below build/, spec/ or topologies/ that isn't there makes it
-- `missing`, and its row is not met.
--
-- Programs of one experiment take turns (A B C A B C), so that a drift of the
-- machine hits all alike. Values are medians; a ratio is the median of the
-- ratios within each turn, above 1 when the engine is the better one.
-- Every single run is in build/bench/runs.tsv. Exit 0: the table is sound,
-- whatever is met; 1: an answer was wrong or a program crashed; 2: usage.

---------------------------------------------------------------- what is measured

local ERLANG = "erl +S 1:1 +SDcpu 1:1 +SDio 1 +sbwt none -noinput "
  .. "-pa build/bench -run savina main "
local ACTORS = "build/release/bench-actors "
local LIMIT = "build/release/bench-limit "
local STREAM = "build/release/bench-stream "
local OUTSIDE = "build/release/bench-outside "
local RUN = "build/engine run "

-- 1 + 2 + ... + n: what the payloads add up to that a shape sends once.
local function sum(n) return n * (n + 1) // 2 end

-- An experiment over one of Savina's shapes: `sends` is how often 1..n is sent.
local function savina(shape, sends, title, at_most)
  return {
    name = shape, report = "line", messages = 4000000, quick = 128000,
    sum = function(n) return sends * sum(n // sends) end,
    programs = {
      { "engine", ACTORS .. shape .. " {n} 1" },
      { "erlang", ERLANG .. shape .. " {n}" },
      { "limit", LIMIT .. shape .. " {n}" },
      { "2-threads", ACTORS .. shape .. " {n} 2" },
    },
    rows = {
      { title, value = "cpu_ns", peers = { "erlang" }, floor = "limit",
        at_most = at_most, ahead = 4 },
      { title .. ", two threads", program = "2-threads", value = "cpu_ns", at_most = 80 },
    },
  }
end

-- An experiment on the data path: roots a second, in millions. Storm can't run
-- here; what it says of itself is told as a note.
local function stream(shape, title, messages, at_least, acked)
  local options = acked and " acked" or ""
  return {
    name = "stream " .. shape .. options, report = "line",
    messages = messages, quick = messages // 50,
    programs = {
      { "1-thread", STREAM .. shape .. " {n} 1" .. options },
      { "2-threads", STREAM .. shape .. " {n} 2" .. options },
    },
    rows = {
      { title .. (acked and ", acked" or ""), best = { "1-thread", "2-threads" },
        value = "rate", at_least = at_least,
        note = acked and "Storm's own note 1 to 1.6" or "Storm's own note 8" },
    },
  }
end

-- An experiment with a sink a hundred times slower than its spout.
local function slow(option, messages)
  local title = "slow consumer" .. option:gsub(" ", ", ")
  return {
    name = "slow" .. option, report = "line", messages = messages, quick = messages // 20,
    programs = { { "engine", "build/release/bench-slow {n}" .. option } },
    rows = {
      { title .. ", memory grows by", value = "grown_mb", at_most = 64 },
      { title .. ", another stream's rate, of alone", value = "kept", at_least = 0.9 },
    },
  }
end

-- A row: title; value (see VALUES); program (default "engine"), or best, a list
-- of programs of which the best one stands for the engine; peers, whose best
-- gives the ratio; floor and note, shown only. Targets: at_most, at_least (in
-- the value's unit), ahead (the least ratio to the best peer), times (at most
-- so many times the best peer's value, of values where less is better); without
-- one it is not judged.
local EXPERIMENTS = {
  savina("ping-pong", 1, "ping-pong", 30),
  savina("counting", 1, "counting", 30),
  savina("ring", 1, "thread ring of 100", 30),
  savina("fan-in", 50, "fan-in 50:1", 45),
  savina("big", 128, "big 64", 45),
  {
    name = "spawn", report = "line", messages = 100000, quick = 10000, sum = sum,
    programs = {
      { "engine", ACTORS .. "spawn {n}" },
      { "erlang", ERLANG .. "spawn {n}" },
      { "limit", LIMIT .. "spawn {n}" },
    },
    rows = {
      { "spawn", value = "cpu_us", peers = { "erlang" }, floor = "limit", at_most = 0.5 },
      { "spawn, memory", value = "bytes", peers = { "erlang" }, floor = "limit", at_most = 256 },
    },
  },
  {
    name = "vm", report = "line", messages = 1000, quick = 100,
    programs = { { "engine", "build/release/bench-vm {n}" } },
    rows = {
      { "state of a Lua executor", value = "cpu_us", at_most = 60 },
      { "state of a Lua executor, memory", value = "kb", at_most = 25 },
    },
  },
  {
    name = "wake", report = "line", messages = 1000, quick = 50,
    programs = { { "engine", ACTORS .. "wake {n}" } },
    rows = { { "first message to an idle thread", value = "wall_us", at_most = 10 } },
  },
  stream("null", "native null", 20000000, 25),
  stream("null", "native null", 10000000, 8, true),
  stream("identity", "native identity", 20000000, 25),
  stream("identity", "native identity", 10000000, 8, true),
  stream("lua-null", "Lua null", 5000000, 5),
  stream("lua-null", "Lua null", 5000000, 3, true),
  stream("lua-identity", "Lua identity", 5000000, 3),
  stream("lua-identity", "Lua identity", 5000000, 2.5, true),
  stream("lua-chains", "Lua identity, two chains", 5000000, 5),
  {
    name = "words", report = "words",
    programs = {
      { "lua5.4", "lua5.4 spec/bench/words.lua {book}" },
      { "mawk", "mawk -f spec/bench/words.awk {book}" },
      { "engine",
        RUN .. "topologies/word_count.lua --threads 2 --quiet --set input={book}" },
    },
    rows = {
      { "word count, wall", value = "wall", peers = { "lua5.4" }, times = 0.8 },
      { "word count, wall, below mawk's", value = "wall", peers = { "mawk" }, times = 1 },
      { "word count, CPU", value = "cpu", peers = { "lua5.4" }, times = 1.5 },
      { "pure Lua itself, a word", program = "lua5.4", value = "cpu_ns", at_most = 215 },
    },
  },
  {
    name = "words kept", report = "words",
    programs = {
      { "memory",
        RUN .. "topologies/word_count.lua --threads 2 --quiet --set input={book}" },
      { "engine",
        RUN .. "spec/bench/words_kept.lua --threads 2 --quiet --data build/bench/kept --fresh --set input={book}" },
    },
    rows = {
      { "word count that stays, CPU", value = "cpu", peers = { "memory" }, times = 1.5 },
      { "word count that stays, wall", value = "wall", peers = { "memory" } },
    },
  },
  {
    name = "keys", report = "line", messages = 4000000, quick = 100000,
    programs = {
      { "engine", RUN .. "spec/bench/keys.lua --quiet --data build/bench/keys --fresh --set count={n}" },
    },
    rows = { { "a million changed keys, longest pause", value = "gap_ms", at_most = 20 } },
  },
  {
    -- LMDB itself puts 1,000 records a commit, then gets them.
    name = "queue", report = "line", messages = 1000000, quick = 100000,
    programs = {
      { "lmdb", "build/release/bench-queue bare {n}" },
      { "engine", "build/release/bench-queue engine {n} build/engine run" },
    },
    rows = { { "queue, 100 bytes, written and read", value = "rate", peers = { "lmdb" }, ahead = 0.6 } },
  },
  {
    name = "json", report = "line", messages = 1000000, quick = 20000,
    programs = {
      { "jansson", "build/release/bench-json jansson null {n}" },
      { "jansson-file", "build/release/bench-json jansson file {n}" },
      { "engine",
        "build/release/bench-json engine null {n} " .. RUN .. "spec/bench/json.lua" },
      { "engine-file",
        "build/release/bench-json engine file {n} " .. RUN .. "spec/bench/json.lua" },
    },
    rows = {
      { "JSON, Lua changes a field", value = "cpu_us", peers = { "jansson" },
        note = "Fluent Bit 5.2", at_most = 2 },
      { "JSON, Lua changes a field, to a file", program = "engine-file", value = "cpu_us",
        peers = { "jansson-file" }, note = "Fluent Bit 8.1", at_most = 3 },
      { "JSON, to a file, memory", program = "engine-file", value = "mb",
        note = "Fluent Bit 26", at_most = 20 },
    },
  },
  {
    name = "words native", report = "words",
    programs = {
      { "c", "build/release/bench-words {book}" },
      { "engine",
        RUN .. "spec/bench/words_native.lua --threads 2 --quiet --set input={book}" },
    },
    rows = {
      { "word count of operators, words", value = "rate", peers = { "c" }, at_least = 12 },
      { "word count of operators, CPU", value = "cpu", peers = { "c" }, times = 2 },
    },
  },
  {
    name = "words split", report = "words",
    programs = {
      { "lua5.4", "lua5.4 spec/bench/words.lua {book}" },
      { "engine",
        RUN .. "spec/bench/words_split.lua --threads 2 --quiet --set input={book}" },
    },
    rows = {
      { "word count, Lua split, count_by, wall", value = "wall", peers = { "lua5.4" },
        times = 0.55 },
      { "word count, Lua split, count_by, CPU", value = "cpu", peers = { "lua5.4" } },
    },
  },
  {
    name = "words reduce", report = "words",
    programs = {
      { "lua5.4", "lua5.4 spec/bench/words.lua {book}" },
      { "engine",
        RUN .. "spec/bench/words_reduce.lua --threads 2 --quiet --set input={book}" },
    },
    rows = {
      { "word count, Lua split, combine in Lua, wall", value = "wall", peers = { "lua5.4" },
        times = 0.7 },
      { "word count, Lua split, combine in Lua, CPU", value = "cpu", peers = { "lua5.4" } },
    },
  },
  {
    -- Storm's file is its own; here it is the book. It tells no figure of this
    -- shape: that of the identity bolt, acked, is the nearest one.
    name = "lines", report = "line", messages = 2000000, quick = 40000,
    programs = {
      { "1-thread", "build/release/bench-lines {n} build/data/kjv.txt 1" },
      { "2-threads", "build/release/bench-lines {n} build/data/kjv.txt 2" },
    },
    rows = {
      { "FileReadWordCount, acked, lines", best = { "1-thread", "2-threads" }, value = "rate",
        note = "Storm's own none; identity, acked 1" },
      { "FileReadWordCount, acked, words", best = { "1-thread", "2-threads" },
        value = "words", note = "Storm's own none" },
    },
  },
  {
    -- Storm's: apache/storm pull 2502, one machine of 12 threads.
    name = "steady", report = "line", messages = 850000, quick = 85000,
    programs = { { "engine", "build/release/bench-steady {n} 85000" } },
    rows = {
      { "85,000 sentences/s, acked, mean", value = "mean_ms", note = "Storm's own 5.6",
        at_most = 0.5 },
      { "85,000 sentences/s, acked, p99", value = "p99_ms", note = "Storm's own 17",
        at_most = 3 },
      { "85,000 sentences/s, acked, cores", value = "cores", note = "Storm's own 9.1",
        at_most = 0.7 },
      { "85,000 sentences/s, acked, memory", value = "mb", note = "Storm's own 230",
        at_most = 30 },
    },
  },
  slow("", 10000000),
  slow(" acked", 4000000),
  {
    name = "start", report = "line", messages = 20, quick = 3,
    programs = {
      { "engine", OUTSIDE .. "first {n} '{\"n\":1}' " .. RUN .. "spec/bench/first.lua --quiet" },
    },
    rows = { { "start to first tuple", value = "wall_ms", at_most = 30 } },
  },
  {
    name = "idle", report = "line", messages = 10, quick = 2,
    programs = { { "engine", OUTSIDE .. "idle {n} " .. RUN .. "spec/bench/idle.lua --quiet" } },
    rows = {
      { "idle CPU", value = "percent", at_most = 0.05 },
      { "idle RSS", value = "mb", at_most = 12 },
    },
  },
  {
    name = "reload", report = "line", messages = 100, quick = 10,
    programs = { { "engine", "build/release/bench-reload {n}" } },
    rows = { { "reload under full load, p99", value = "wall_ms", at_most = 100 } },
  },
  {
    name = "neighbour", report = "line", messages = 3000, quick = 500,
    programs = {
      { "1-thread", "build/release/bench-neighbour {n} 1" },
      { "2-threads", "build/release/bench-neighbour {n} 2" },
    },
    rows = {
      { "neighbour of an attack, p99", program = "1-thread", value = "wall_ms", at_most = 50 },
      { "neighbour of an attack, p99, two threads", program = "2-threads", value = "wall_ms",
        at_most = 50 },
    },
  },
}

local BOOK, BOOK_TIMES = "build/data/kjv.txt", 24
local OUT = "build/bench/"
local CLOCK = "build/release/bench-clock"
local LIMIT_S = 600 -- for one run of one program

-- unit; which is better; what one run's figures, all for one message, make of it
local VALUES = {
  cpu_ns = { "ns", "less", function(run) return run.cpu_ns end },
  cpu_us = { "us", "less", function(run) return run.cpu_ns / 1e3 end },
  wall_us = { "us", "less", function(run) return run.wall_ns / 1e3 end },
  bytes = { "B", "less", function(run) return run.said.bytes end },
  kb = { "KB", "less", function(run) return run.said.bytes and run.said.bytes / 1e3 end },
  mb = { "MB", "less", function(run) return run.said.bytes and run.said.bytes / 1e6 end },
  gap_ms = { "ms", "less", function(run) return run.said.gap_ms end },
  mean_ms = { "ms", "less", function(run) return run.said.mean_ms end },
  p99_ms = { "ms", "less", function(run) return run.said.p99_ms end },
  cores = { "cores", "less", function(run) return run.said.cores end },
  grown_mb = { "MB", "less", function(run) return run.said.grown_mb end },
  kept = { "x", "more", function(run) return run.said.kept end },
  words = { "M words/s", "more", function(run)
    return run.said.words and run.said.words / run.messages * 1e3 / run.wall_ns
  end },
  wall_ms = { "ms", "less", function(run) return run.wall_ns / 1e6 end },
  -- of one core, when a message stands for a second
  percent = { "%", "less", function(run) return run.cpu_ns / 1e7 end },
  rate = { "M/s", "more", function(run) return 1e3 / run.wall_ns end },
  cpu = { "s", "less", function(run) return run.cpu_ns * run.messages / 1e9 end },
  wall = { "s", "less", function(run) return run.wall_ns * run.messages / 1e9 end },
}

------------------------------------------------------------------------- helpers

local function say(...) io.stderr:write("bench: ", string.format(...), "\n") end

local function fail(...)
  say(...)
  os.exit(2)
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text
end

local function first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("l")
  pipe:close()
  return line
end

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  if #sorted % 2 == 1 then return sorted[middle] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

-- Three digits that matter: 0.081, 8.12, 81.2, 812.
local function digits(x)
  local size = math.abs(x)
  local places = size < 1 and 3 or size < 10 and 2 or size < 100 and 1 or 0
  return string.format("%." .. places .. "f", x)
end

local function load_average()
  return read("/proc/loadavg"):match("^[%d.]+") or "?"
end

--------------------------------------------------------------------- preparation

local function options()
  local chosen = { runs = 5, with = {} }
  local i = 1
  local function argument()
    i = i + 1
    return arg[i] or fail("%s wants a value", arg[i - 1])
  end
  while i <= #arg do
    local name = arg[i]
    if name == "--quick" then
      chosen.quick, chosen.runs = true, 1
    elseif name == "--only" then
      chosen.only = argument()
    elseif name == "--runs" then
      chosen.runs = math.tointeger(tonumber(argument()))
      if not chosen.runs or chosen.runs < 1 then fail("--runs wants a number from 1") end
    elseif name == "--with" then
      local program, command = argument():match("^([%w._-]+)=(.+)$")
      if not program then fail("--with wants PROGRAM=COMMAND") end
      chosen.with[program] = command
    else
      fail("unknown option %s; there are --quick --only --runs --with", name)
    end
    i = i + 1
  end
  return chosen
end

-- The text to count, made if it isn't there; nil when there is no book.
local function book(quick)
  if not exists(BOOK) then return nil end
  if quick then return BOOK end
  local path = BOOK:gsub("%.txt$", BOOK_TIMES .. ".txt")
  local text = read(BOOK)
  local file = io.open(path, "rb")
  local size = file and file:seek("end") or 0
  if file then file:close() end
  if size ~= #text * BOOK_TIMES then
    say("writing %s", path)
    file = assert(io.open(path .. ".new", "wb"))
    for _ = 1, BOOK_TIMES do assert(file:write(text)) end
    assert(file:close())
    assert(os.rename(path .. ".new", path))
  end
  return path
end

-- Which experiments run, each with the rows that were asked for: `only` is
-- found in the names, in either case, and * in it stands for anything.
local function selected(only)
  local pattern = (only or ""):lower():gsub("%W", "%%%0"):gsub("%%%*", ".*")
  local list = {}
  for _, experiment in ipairs(EXPERIMENTS) do
    local rows = {}
    for _, row in ipairs(experiment.rows) do
      local names = (experiment.name .. " " .. (row.program or "") .. " " .. row[1]):lower()
      if names:find(pattern) then rows[#rows + 1] = row end
    end
    if #rows > 0 then list[#list + 1] = { experiment = experiment, rows = rows } end
  end
  return list
end

-- The programs that the rows speak of, in the experiment's order.
local function needed(experiment, rows)
  local wanted = {}
  for _, row in ipairs(rows) do
    for _, name in ipairs(row.best or { row.program or "engine" }) do wanted[name] = true end
    if row.floor then wanted[row.floor] = true end
    for _, peer in ipairs(row.peers or {}) do wanted[peer] = true end
  end
  local list = {}
  for _, program in ipairs(experiment.programs) do
    if wanted[program[1]] then list[#list + 1] = program end
  end
  return list
end

-- Why a command can't run here, or nil.
local function missing(command)
  local program = command:match("%S+")
  if not os.execute("command -v '" .. program .. "' >/dev/null 2>&1") then return program end
  -- What follows --data is made.
  for word in command:gsub("%-%-data %S+", ""):gmatch("%S+") do
    local folder = word:match("^(%w+)/[%w._/-]+$")
    local ours = folder == "build" or folder == "spec" or folder == "topologies"
    if ours and not exists(word) then return word end
  end
  if command:find("{book}", 1, true) then return BOOK end
end

------------------------------------------------------------------- running a program

-- `word count` lines in order, and how many words in all; or nil and why not.
local function canonical(text)
  local lines, seen, total = {}, {}, 0
  for line in text:gmatch("[^\n]+") do
    local word, count = line:match("^(%l+)[ \t]+(%d+)$")
    if not word then
      word = line:match('"word"%s*:%s*"(%l+)"')
      count = line:match('"count"%s*:%s*(%d+)')
    end
    if not (word and count) then return nil, "not a count: " .. line:sub(1, 60) end
    if seen[word] then return nil, "counted twice: " .. word end
    seen[word] = true
    lines[#lines + 1] = word .. " " .. count
    total = total + math.tointeger(count)
  end
  if total == 0 then return nil, "no word counted" end
  table.sort(lines)
  return table.concat(lines, "\n"), total
end

local judge = {}

-- The line's figures, or nil and why they don't count.
function judge.line(work, text)
  local messages, cpu_ns, wall_ns, check, rest =
    text:match("^%S+ (%d+) ([%d.]+) ([%d.]+) (%S+)([^\n]*)\n?$")
  if not check then return nil, "no result line: " .. text:sub(1, 60) end
  if tonumber(messages) ~= work.messages then
    return nil, string.format("%s messages, not %d", messages, work.messages)
  end
  local sum = work.experiment.sum and work.experiment.sum(work.messages)
  if check ~= "ok" and not (sum and check == tostring(sum)) then
    return nil, string.format("check is %s, not %s", check, sum or "ok")
  end
  local said = {}
  for name, value in rest:gmatch(" (%l[%w_]*) ([%d.]+)") do said[name] = tonumber(value) end
  return { messages = tonumber(messages), cpu_ns = tonumber(cpu_ns),
    wall_ns = tonumber(wall_ns), said = said }
end

-- The process's cost as figures, if its count is the right one.
function judge.words(work, text, cost)
  local count, total = canonical(text)
  if not count then return nil, total end
  work.answer = work.answer or count
  if count ~= work.answer then
    return nil, "its count differs from that of " .. work.experiment.programs[1][1]
  end
  local cpu_ns = cost.user_ns + cost.sys_ns
  return { messages = total, cpu_ns = cpu_ns / total, wall_ns = cost.wall_ns / total, said = {} }
end

-- One run: its figures, or nil and why there are none.
local function run_once(work, command)
  local out, errors = OUT .. "out", OUT .. "errors"
  local line = first_line(string.format("LC_ALL=C %s -t %d -o %s -e %s %s </dev/null",
    CLOCK, LIMIT_S, out, errors, command))
  local status, wall, user, sys = (line or ""):match("^(%d+) (%d+) (%d+) (%d+)")
  if not status then return nil, CLOCK .. " failed" end
  if status == "124" then return nil, string.format("not done after %d s", LIMIT_S) end
  if status ~= "0" then
    local why = read(errors):match("[^\n]+") or read(out):match("[^\n]+") or "no word of why"
    return nil, string.format("exit %s: %s", status, why)
  end
  local cost = { wall_ns = tonumber(wall), user_ns = tonumber(user), sys_ns = tonumber(sys) }
  return judge[work.experiment.report](work, read(out), cost)
end

local function log_run(log, work, name, turn, run)
  log:write(table.concat({ work.experiment.name, name, turn, run.messages, run.cpu_ns,
    run.wall_ns, run.said.bytes or "" }, "\t"), "\n")
end

-- Runs an experiment's programs in turns; work.results[name] is { state, runs }.
-- A program that is missing or wrong once is not run again.
local function run_all(work, chosen, log)
  for turn = 1, chosen.runs do
    for _, program in ipairs(work.programs) do
      local name, command = program[1], program.command
      local result = work.results[name]
      if result.state == "ok" then
        say("%s, %s, run %d of %d", work.experiment.name, name, turn, chosen.runs)
        local run, why = run_once(work, command)
        if run then
          result.runs[turn] = run
          log_run(log, work, name, turn, run)
        else
          result.state, result.why = "wrong", why
        end
      end
    end
  end
end

local function prepare(choice, chosen, text)
  local experiment = choice.experiment
  local work = {
    experiment = experiment, rows = choice.rows, results = {},
    programs = needed(experiment, choice.rows),
    messages = chosen.quick and experiment.quick or experiment.messages,
  }
  for _, program in ipairs(work.programs) do
    local values = { n = work.messages, book = text }
    local command = chosen.with[program[1]] or program[2]
    program.command = command:gsub("{(%w+)}", values)
    local lack = missing(program.command)
    work.results[program[1]] = { state = lack and "missing" or "ok", why = lack, runs = {} }
  end
  return work
end

------------------------------------------------------------------------ the table

-- The values of a program's runs, or nil when it has none that count.
local function values_of(work, name, value)
  local result = work.results[name]
  if not result or result.state ~= "ok" then return nil end
  local list = {}
  for i, run in ipairs(result.runs) do
    list[i] = VALUES[value][3](run)
    if not list[i] then
      result.state, result.why = "wrong", "no " .. value .. " in its line"
      return nil
    end
  end
  return list
end

local function better(value, a, b)
  if VALUES[value][2] == "less" then return a < b end
  return a > b
end

-- How far `mine` is ahead of `theirs`, turn by turn.
local function ratio(value, mine, theirs)
  local list = {}
  for i = 1, #mine do
    list[i] = VALUES[value][2] == "less" and theirs[i] / mine[i] or mine[i] / theirs[i]
  end
  return median(list)
end

-- The best of the peers that ran, its values, and whether all of them did.
local function best_peer(work, row)
  local best, values
  local all = true
  for _, peer in ipairs(row.peers or {}) do
    local theirs = values_of(work, peer, row.value)
    if not theirs then
      all = false
    elseif not best or better(row.value, median(theirs), median(values)) then
      best, values = peer, theirs
    end
  end
  return best, values, all
end

-- The program that stands for the engine: the one named, or the best of several
-- that were all right (else the one that wasn't).
local function own_program(work, row)
  if not row.best then return row.program or "engine" end
  local best, values
  for _, name in ipairs(row.best) do
    local mine = values_of(work, name, row.value)
    if not mine then return name end
    if not best or better(row.value, median(mine), median(values)) then
      best, values = name, mine
    end
  end
  return best
end

local function peers_text(work, row)
  local parts = { row.note }
  local names = table.move(row.peers or {}, 1, #(row.peers or {}), 1, {})
  names[#names + 1] = row.floor
  for _, name in ipairs(names) do
    local values = values_of(work, name, row.value)
    local seen = values and digits(median(values)) or work.results[name].state
    parts[#parts + 1] = name .. " " .. seen
  end
  return #parts > 0 and table.concat(parts, ", ") or "-"
end

local function target_text(row)
  local unit, parts = VALUES[row.value][1], {}
  if row.at_most then parts[#parts + 1] = "<= " .. row.at_most .. " " .. unit end
  if row.at_least then parts[#parts + 1] = ">= " .. row.at_least .. " " .. unit end
  if row.ahead then parts[#parts + 1] = ">= " .. row.ahead .. "x best peer" end
  if row.times then parts[#parts + 1] = "<= " .. row.times .. " of " .. row.peers[1] .. "'s" end
  return #parts > 0 and table.concat(parts, ", ") or "-"
end

-- yes, no, or - for a row without a target. A ratio that could not be measured
-- against every peer is not a ratio to the best one.
local function met(row, mine, lead, all)
  if not mine then return "no" end
  if not (row.at_most or row.at_least or row.ahead or row.times) then return "-" end
  local value = median(mine)
  local good = (not row.at_most or value <= row.at_most)
    and (not row.at_least or value >= row.at_least)
    and (not row.ahead or (all and lead and lead >= row.ahead))
    and (not row.times or (all and lead and lead * row.times >= 1))
  return good and "yes" or "no"
end

local function row_cells(work, row)
  local name = own_program(work, row)
  local mine = values_of(work, name, row.value)
  local best, theirs, all = best_peer(work, row)
  local lead = mine and best and ratio(row.value, mine, theirs)
  return {
    row[1],
    mine and digits(median(mine)) .. " " .. VALUES[row.value][1]
      .. (row.best and " (" .. name .. ")" or "") or work.results[name].state,
    peers_text(work, row),
    lead and digits(lead) .. "x " .. best or "-",
    target_text(row),
    met(row, mine, lead, all),
  }
end

local function print_table(cells)
  local widths = {}
  for _, line in ipairs(cells) do
    for i, cell in ipairs(line) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  for _, line in ipairs(cells) do
    local padded = {}
    for i, cell in ipairs(line) do padded[i] = cell .. (" "):rep(widths[i] - #cell) end
    print((table.concat(padded, "  "):gsub("%s+$", "")))
  end
end

-- What is missing or wrong, and why; true when something was wrong.
local function print_faults(works)
  local wrong = false
  for _, work in ipairs(works) do
    for _, program in ipairs(work.programs) do
      local result = work.results[program[1]]
      if result.state ~= "ok" then
        print(string.format("%s, %s: %s: %s", work.experiment.name, program[1],
          result.state, result.why))
      end
      wrong = wrong or result.state == "wrong"
    end
  end
  return wrong
end

local function print_head(chosen)
  local model = read("/proc/cpuinfo"):match("model name%s*:%s*([^\n]+)") or "unknown processor"
  print(string.format("%s, %s cores, load %s before; medians of %d run%s, CPU time%s",
    model, first_line("nproc"), load_average(), chosen.runs, chosen.runs == 1 and "" or "s",
    chosen.quick and "; --quick: small sizes, not figures to quote" or ""))
end

local function summary(cells)
  local count = { yes = 0, no = 0, ["-"] = 0 }
  for i = 2, #cells do
    local verdict = cells[i][#cells[i]]
    count[verdict] = count[verdict] + 1
  end
  local aside = count["-"] > 0 and string.format(" (%d without a target)", count["-"]) or ""
  print(string.format("bench: %d rows, %d met%s", #cells - 1, count.yes, aside))
end

local function main()
  local chosen = options()
  local choices = selected(chosen.only)
  if #choices == 0 then fail("no row has %s in its name", chosen.only) end
  if not exists(CLOCK) then fail("%s is missing; try ./build.sh bench", CLOCK) end
  os.execute("mkdir -p " .. OUT)
  os.execute("erlc -o " .. OUT .. " spec/bench/erlang/savina.erl")
  local log = assert(io.open(OUT .. "runs.tsv", "w"))
  log:write("experiment\tprogram\trun\tmessages\tcpu_ns\twall_ns\tbytes\n")
  print_head(chosen)
  local text = book(chosen.quick)
  local works = {}
  local cells = { { "measure", "engine", "peers", "ratio", "target", "met" } }
  for i, choice in ipairs(choices) do
    works[i] = prepare(choice, chosen, text)
    run_all(works[i], chosen, log)
    for _, row in ipairs(works[i].rows) do cells[#cells + 1] = row_cells(works[i], row) end
  end
  log:close()
  print_table(cells)
  local wrong = print_faults(works)
  print("load " .. load_average() .. " after")
  summary(cells)
  os.exit(wrong and 1 or 0)
end

main()
