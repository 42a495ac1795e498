-- json.lua - is each line of the standard input one JSON object (RFC 8259)?
-- Prints the first line that is none and exits 1. With NAME=VALUE… as arguments
-- some line must have the member NAME with the string VALUE.
local wanted = {}
for _, a in ipairs(arg) do
  local name, text = a:match("^(.-)=(.*)$")
  wanted[name] = text
end

local value -- below

local function skip(s, at) return s:match("^[ \t\r\n]*()", at) end

local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function text(s, at)
  local out = {}
  at = at + 1
  while true do
    local plain, next_at = s:match('^([^"\\%c]*)()', at)
    out[#out + 1], at = plain, next_at
    local c = s:sub(at, at)
    if c == '"' then return table.concat(out), at + 1 end
    if c ~= "\\" then error("control character or end in a string") end
    local e = s:sub(at + 1, at + 1)
    if ESCAPES[e] then
      out[#out + 1], at = ESCAPES[e], at + 2
    else
      local code = s:match("^u(%x%x%x%x)", at + 1) or error("bad escape")
      out[#out + 1], at = utf8.char(tonumber(code, 16)), at + 6
    end
  end
end

local function members(s, at)
  local object = {}
  at = skip(s, at + 1)
  if s:sub(at, at) == "}" then return object, at + 1 end
  while true do
    if s:sub(at, at) ~= '"' then error("a name is missing") end
    local name, v
    name, at = text(s, at)
    at = skip(s, at)
    if s:sub(at, at) ~= ":" then error("a colon is missing") end
    v, at = value(s, at + 1)
    if object[name] ~= nil then error("the name " .. name .. " comes twice") end
    object[name] = v
    at = skip(s, at)
    local c = s:sub(at, at)
    at = skip(s, at + 1)
    if c == "}" then return object, at end
    if c ~= "," then error("a comma is missing") end
  end
end

local function entries(s, at)
  local list = {}
  at = skip(s, at + 1)
  if s:sub(at, at) == "]" then return list, at + 1 end
  while true do
    list[#list + 1], at = value(s, at)
    at = skip(s, at)
    local c = s:sub(at, at)
    at = at + 1
    if c == "]" then return list, at end
    if c ~= "," then error("a comma is missing") end
  end
end

function value(s, at)
  at = skip(s, at)
  local c = s:sub(at, at)
  if c == "{" then return members(s, at) end
  if c == "[" then return entries(s, at) end
  if c == '"' then return text(s, at) end
  for word, v in pairs { ["true"] = true, ["false"] = false, null = utf8 } do
    if s:sub(at, at + #word - 1) == word then return v, at + #word end
  end
  local number = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  if not number or not tonumber(number) or number:match("^-?0%d") or number:match("%.$") then
    error("no value")
  end
  return tonumber(number), at + #number
end

local count = 0
for line in io.lines() do
  count = count + 1
  local ok, object, at = pcall(value, line, 1)
  if not ok or type(object) ~= "table" or at <= #line or not utf8.len(line) then
    print(("line %d is no JSON object: %s"):format(count, line))
    os.exit(1)
  end
  for name, wish in pairs(wanted) do
    if object[name] == wish then wanted[name] = nil end
  end
end
for name, wish in pairs(wanted) do
  print(("no line has \"%s\": \"%s\""):format(name, wish))
  os.exit(1)
end
