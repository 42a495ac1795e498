--- Expectations of a spec file: expect(value):is(other) and its like. Runs once
-- in each spec file's machine.
-- What is not so is raised as a failure: a table whose text says what was
-- expected and seen, with the place of the expectation.

-- of C: nearest(name, names), where(level) and the value that stands for nil.
local nearest, where, null = ...

local SHOWN_BYTES = 500 -- of one value
local SHOWN_TUPLES = 10  -- that are missing, or too many
local DEPTH_MAX = 64

local place = "" -- of the expectation in hand: "file:line: "

local failure = { __expectation = true, __tostring = function(f) return f.text end }

local function misuse(...)
  error(place .. string.format(...), 0)
end

local function refuse_deep()
  misuse("a value is nested deeper than %d levels, or holds itself", DEPTH_MAX)
end

-- ---- values as text ----

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ["\""] = "\\\"" }

local function quoted(text)
  return "\"" .. text:gsub("[%c\"\\]", function(c) return ESCAPES[c] or ("\\%03d"):format(c:byte()) end) .. "\""
end

--- Numbers that are equal have one text: 1 and 1.0, as 1 == 1.0.
local function scalar(v)
  if v == null then return "null" end
  if type(v) == "string" then return quoted(v) end
  if math.type(v) == "float" and math.tointeger(v) then return tostring(math.tointeger(v)) end
  return tostring(v)
end

local function in_order(a, b)
  if type(a) ~= type(b) then return type(a) < type(b) end
  if type(a) == "number" or type(a) == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, in_order)
  return keys
end

--- The last of the places 1, 2, … that hold a value, and how many other keys
-- there are.
local function extent(t)
  local last, others = 0, 0
  for key in next, t do
    if math.type(key) == "integer" and key > 0 and key <= 1000000 then
      last = math.max(last, key)
    else
      others = others + 1
    end
  end
  return last, others
end

--- The whole of a value: equal values have equal texts.
local function text_of(v, depth)
  depth = depth or 0
  if type(v) ~= "table" or v == null then return scalar(v) end
  if depth > DEPTH_MAX then refuse_deep() end
  local parts, last, others = {}, extent(v)
  if last > 0 or others == 0 then
    for i = 1, last do parts[i] = text_of(v[i], depth + 1) end
  end
  if others > 0 then
    for _, key in ipairs(sorted_keys(v)) do
      if not (math.type(key) == "integer" and key > 0 and key <= last) then
        local name = type(key) == "string" and key:match("^[%a_][%w_]*$") or "[" .. text_of(key, depth + 1) .. "]"
        parts[#parts + 1] = name .. " = " .. text_of(v[key], depth + 1)
      end
    end
  end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

--- The same, cut so that people can read it.
local function shown(v)
  local text = text_of(v)
  if #text <= SHOWN_BYTES then return text end
  local last = SHOWN_BYTES
  while last > 1 and text:byte(last + 1) & 0xc0 == 0x80 do last = last - 1 end
  return ("%s… (%d bytes more)"):format(text:sub(1, last), #text - last)
end

-- ---- comparing ----

--- nil when they are equal, else where they differ first and what is there.
local function difference(a, b, path, depth)
  if depth > DEPTH_MAX then refuse_deep() end
  if a == b or (a ~= a and b ~= b) then return nil end
  if type(a) ~= "table" or type(b) ~= "table" or a == null or b == null then return path, a, b end
  local keys = {}
  for key in next, a do keys[key] = true end
  for key in next, b do keys[key] = true end
  for _, key in ipairs(sorted_keys(keys)) do
    local at, left, right = difference(a[key], b[key], ("%s[%s]"):format(path, scalar(key)), depth + 1)
    if at then return at, left, right end
  end
  return nil
end

local function is_equal(a, b)
  return difference(a, b, "", 0) == nil
end

local function is_list(v)
  if type(v) ~= "table" or v == null then return false end
  local _, others = extent(v)
  return others == 0
end

--- How often each entry of a list is there, by its text.
local function counts(list)
  local bag = {}
  for i = 1, (extent(list)) do
    local text = text_of(list[i])
    bag[text] = (bag[text] or 0) + 1
  end
  return bag
end

--- What is in one bag more often than in the other, as text.
local function surplus(bag, other)
  local found, left = {}, 0
  for _, text in ipairs(sorted_keys(bag)) do
    for _ = 1, bag[text] - (other[text] or 0) do
      if #found < SHOWN_TUPLES then found[#found + 1] = text else left = left + 1 end
    end
  end
  if left > 0 then found[#found + 1] = ("… and %d more"):format(left) end
  return found
end

-- ---- the matchers: is it so, and what to say when it should be otherwise ----

local matchers = {}

function matchers.is(seen, expected)
  local path, left, right = difference(seen, expected, "", 0)
  local lines = { "expected: " .. shown(expected), "got:      " .. shown(seen) }
  if path and path ~= "" then
    lines[3] = ("at %s:  expected %s, got %s"):format(path, shown(right), shown(left))
  end
  return path == nil, lines
end

function matchers.is_bag(seen, expected)
  if not is_list(expected) then misuse("is_bag takes a list of tuples; write is_bag { { value, … }, … }") end
  if not is_list(seen) then return false, { "expected: a list", "got:      " .. shown(seen) } end
  local a, b = counts(seen), counts(expected)
  local missing, extra = surplus(b, a), surplus(a, b)
  local lines = { "expected: " .. shown(expected), "got:      " .. shown(seen) }
  for _, text in ipairs(missing) do lines[#lines + 1] = "missing:  " .. text end
  for _, text in ipairs(extra) do lines[#lines + 1] = "too many: " .. text end
  return #missing == 0 and #extra == 0, lines
end

function matchers.is_empty(seen)
  local is_so = seen == "" or (type(seen) == "table" and next(seen) == nil)
  return is_so, { "expected: nothing in it", "got:      " .. shown(seen) }
end

function matchers.has(seen, part)
  local is_so = false
  if type(seen) == "string" then
    if type(part) ~= "string" then misuse("has takes a text when a text is looked through, not %s", shown(part)) end
    is_so = seen:find(part, 1, true) ~= nil
  elseif type(seen) == "table" and seen ~= null then
    for _, v in next, seen do is_so = is_so or is_equal(v, part) end
  end
  return is_so, { "expected: something with " .. shown(part), "got:      " .. shown(seen) }
end

function matchers.matches(seen, pattern)
  if type(pattern) ~= "string" then misuse("matches takes a Lua pattern, not %s", shown(pattern)) end
  local well, found = pcall(string.find, type(seen) == "string" and seen or "", pattern)
  if not well then misuse("%s is no Lua pattern: %s", shown(pattern), found) end
  local is_so = type(seen) == "string" and found ~= nil
  return is_so, { "expected: a text that matches " .. shown(pattern), "got:      " .. shown(seen) }
end

function matchers.fails_with(seen, part)
  if type(seen) ~= "function" then misuse("fails_with calls a function; write expect(function() … end):fails_with(…)") end
  if part ~= nil and type(part) ~= "string" then misuse("fails_with takes a part of the error's text, not %s", shown(part)) end
  local well, why = pcall(seen)
  why = not well and tostring(why) or nil
  return why ~= nil and (part == nil or why:find(part, 1, true) ~= nil),
         { "expected: an error" .. (part and " with " .. shown(part) or ""), "got:      " .. (why and shown(why) or "no error") }
end

-- ---- expect ----

local names = {}
for name in pairs(matchers) do names[#names + 1] = name end
table.sort(names)

local methods, Subject = {}, {}

--- What expect() gives, and its .never; `seen` holds the value, which may be
-- nil.
local function subject(seen, negated)
  return setmetatable({ seen = seen, negated = negated }, Subject)
end

function Subject.__index(self, key)
  if key == "never" then return subject(self.seen, not self.negated) end
  if methods[key] then return methods[key] end
  local best = type(key) == "string" and nearest(key, names)
  error(("%sexpect has no matcher '%s'; %s"):format(where(2), tostring(key),
        best and ("did you mean '%s'?"):format(best) or "there are: never, " .. table.concat(names, ", ")), 0)
end

for name, matcher in pairs(matchers) do
  methods[name] = function(self, ...)
    if type(self) ~= "table" or getmetatable(self) ~= Subject then
      error(("%swrite expect(value):%s(…), with a colon"):format(where(2), name), 0)
    end
    local here = where(2)
    place = here
    local is_so, lines = matcher(self.seen[1], ...)
    if is_so ~= self.negated then return end
    local text = { ("%snot as expected: %s%s"):format(here, self.negated and "never " or "", name) }
    if self.negated then lines = { lines[1]:gsub("^expected:", "unwanted:"), lines[2] } end
    for _, line in ipairs(lines) do text[#text + 1] = "  " .. line end
    error(setmetatable({ text = table.concat(text, "\n") }, failure), 0)
  end
end

return function(...)
  if select("#", ...) ~= 1 then error(where(2) .. "expect takes one value; write expect(value):is(…)", 0) end
  return subject({ (...) }, false)
end
