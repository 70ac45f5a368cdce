-- halo test: busted with each `it` in a task, a time limit for each, and a
-- report of what each has left open.
local halo = require("halo")

local limit = 10 -- seconds
local own = {} -- the arguments for busted
do
  local words = arg
  local first = 1
  while first <= #words do
    local word = words[first]
    local value = word:match("^%-%-timeout=(.*)$")
    if word == "--timeout" then
      first = first + 1
      value = words[first] or ""
    end
    if value then
      limit = tonumber(value)
      if not limit or limit <= 0 then
        io.stderr:write("halo test: --timeout takes seconds\n")
        os.exit(2, true)
      end
    else
      own[#own + 1] = word
    end
    first = first + 1
  end
end
table.insert(own, 1, "--ignore-lua") -- we are the interpreter
own[0] = "halo test"
arg = own -- luacheck: ignore

local found, core = pcall(require, "busted.core")
if not found then
  io.stderr:write("halo test needs busted (luarocks install busted)\n", core, "\n")
  os.exit(2, true)
end

---What is open, by what tells it from everything else.
local function open_now()
  local open = {}
  for _, r in ipairs(halo.resources()) do
    open[("%s\0%s\0%.9f"):format(r.kind, r.detail, r.created_at)] = r
  end
  return open
end

local function name_of(element, busted)
  local words = { tostring(element.name) }
  local parent = busted.context.parent(element)
  while parent and parent.descriptor ~= "file" and parent.name do
    table.insert(words, 1, tostring(parent.name))
    parent = busted.context.parent(parent)
  end
  local trace = element.trace
  local place = trace and ("%s:%d: "):format(trace.short_src, trace.currentline) or ""
  return place .. table.concat(words, " ")
end

local reports = {}

local function report_left(before, name)
  halo.yield() -- what has been closed gets the time to end
  halo.yield()
  local lines = {}
  for key, r in pairs(open_now()) do
    if not before[key] then
      lines[#lines + 1] = ("    %s %s"):format(r.kind, r.detail)
    end
  end
  if #lines > 0 then
    table.sort(lines)
    reports[#reports + 1] = ("  %s\n%s"):format(name, table.concat(lines, "\n"))
  end
end

-- Where the error that is about to be raised again was raised.
local raised = {}

---Runs the body in a task; raises what it raises.
local function run(name, body, keep_trace, ...)
  local before = open_now()
  local task = halo.spawn(function(...)
    local ok, err = xpcall(body, keep_trace, ...)
    if not ok then error(err, 0) end
  end, ...)
  local settled, ok, err
  halo.timeout(limit, function()
    ok, err = pcall(halo.await, task)
    settled = task:status() ~= "pending"
  end)
  if not settled then
    local traceback = task:traceback()
    task:cancel("the test's time is up")
    halo.timeout(1, pcall, halo.await, task)
    ok, err = false, ("%s\nthe test took more than %g s; it waited at\n%s")
      :format(name, limit, traceback)
  end
  report_left(before, name)
  if not ok then error(err, 0) end
end

local wrapped = setmetatable({}, { __mode = "k" })

package.loaded["busted.core"] = function(...)
  local busted = core(...)
  local get_trace = busted.getTrace
  function busted.getTrace(element, level, message)
    if raised.trace and rawequal(raised.message, message) then
      return raised.trace
    end
    return get_trace(element, level or 3, message)
  end
  busted.subscribe({ "test", "start" }, function(element)
    if not wrapped[element] then
      wrapped[element] = true
      local body, name = element.run, name_of(element, busted)
      local function keep_trace(message)
        raised.message, raised.trace = message, get_trace(element, 3, message)
        return message
      end
      element.run = function(...)
        raised.trace = nil
        return run(name, body, keep_trace, ...)
      end
    end
    return nil, true
  end, { priority = 1 })
  busted.subscribe({ "exit" }, function()
    if #reports > 0 then
      io.stdout:flush()
      io.stderr:write("left open by\n", table.concat(reports, "\n"), "\n")
    end
    return nil, true
  end)
  return busted
end

require("busted.runner")({ standalone = false })
os.exit(true, true) -- whatever is left open
