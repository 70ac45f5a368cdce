-- busted's helper: a time limit for each test, so that a lost wake-up fails
-- instead of hanging the suite. On the halo command the test's waits are
-- cancelled; on stock Lua, where it is outside all tasks, an error ends the
-- loop that it runs.
local busted = require "busted"
local halo = require "halo"
local timers = require "halo.timers"
local support = require "spec.support"

local wrapped = setmetatable({}, { __mode = "k" })

local function message()
  return ("the test took more than %g s"):format(support.time_limit)
end

-- In a task: halo.timeout's own results say nothing of the body's.
local function limited_task(body, ...)
  local n = select("#", ...)
  local args = { ... }
  local ended = false
  halo.timeout(support.time_limit, function()
    body(table.unpack(args, 1, n))
    ended = true
  end)
  if not ended then error(message(), 0) end
end

local function limited_outside(body, ...)
  local guard <close> = timers.set_timeout(function()
    error(message(), 0)
  end, support.time_limit):unref()
  body(...)
end

busted.subscribe({ "test", "start" }, function(element)
  if not wrapped[element] then
    wrapped[element] = true
    local body = element.run
    local limited = halo.current() and limited_task or limited_outside
    element.run = function(...)
      return limited(body, ...)
    end
  end
  return nil, true
end, { priority = 1 })
