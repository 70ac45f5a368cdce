---The process: its signals, its end, its events: `require "halo.process"`.
local core = require("halo.core")
local system = core.system

---@alias halo.process.Event
---| "exit" the process ends; gets the exit code
---| "before_exit" nothing is left to do, what is begun now goes on; gets the exit code
---| "uncaught_error" nobody caught it, and the process would end; gets error, traceback
---| "unhandled_rejection" a promise's; gets error, promise
---| "warning" gets the message

---@class halo.process
---@field pid integer
---@field exit_code integer the code with which the process will end
local M = {}

-- Event -> list of functions; signal -> list of { fn, watcher }.
local listeners = {}
local watchers = {}

local function call_all(event, ...)
  local list = listeners[event]
  for _, fn in ipairs(list and table.move(list, 1, #list, 1, {}) or {}) do
    fn(...)
  end
end

local function is_signal(event)
  return event:sub(1, 3) == "SIG"
end

local events = {
  exit = true,
  before_exit = true,
  uncaught_error = true,
  unhandled_rejection = true,
  warning = true,
}

local function check(name, event, fn)
  if type(event) ~= "string" or not (events[event] or is_signal(event)) then
    error(("bad argument #1 to '%s' (unknown event '%s')"):format(name, tostring(event)), 3)
  end
  if type(fn) ~= "function" then
    error(("bad argument #2 to '%s' (function expected, got %s)"):format(name, type(fn)), 3)
  end
end

-- The core calls the hook; true tells it that the event has been dealt with.
local function hook(event)
  if event == "warning" then return end
  core.set_hook(event, function(...)
    call_all(event, ...)
    return true
  end)
end

local function add(event, fn, key)
  if is_signal(event) then
    local list = watchers[event] or {}
    list[#list + 1] = { key = key, watcher = system.on_signal(event, fn) }
    watchers[event] = list
    return
  end
  local list = listeners[event]
  if not list then
    list = {}
    listeners[event] = list
    hook(event)
  end
  list[#list + 1] = fn
end

---Calls fn for each such event: a signal ("SIGHUP"; fn gets its name) or one
---of the process itself. A listener does not keep the process up.
---@param event halo.process.Event|string
---@param fn function
function M.on(event, fn)
  check("on", event, fn)
  add(event, fn, fn)
end

---Takes a listener away again.
---@param event halo.process.Event|string
---@param fn function
function M.off(event, fn)
  check("off", event, fn)
  for i, w in ipairs(watchers[event] or {}) do
    if w.key == fn then
      w.watcher:close()
      table.remove(watchers[event], i)
      return
    end
  end
  local list = listeners[event] or {}
  for i, listener in ipairs(list) do
    if listener == fn then
      table.remove(list, i)
      break
    end
  end
  if listeners[event] and #list == 0 then
    listeners[event] = nil
    if event ~= "warning" then core.set_hook(event, nil) end
  end
end

---Like `on`, for the next event only.
---@param event halo.process.Event|string
---@param fn function
function M.once(event, fn)
  check("once", event, fn)
  local function listener(...)
    M.off(event, listener)
    fn(...)
  end
  add(event, listener, listener)
end

---Iterates over signals as they come; the loop waits, keeps the process up
---meanwhile, and gives the signals their old meaning back when it is left.
---
---    for sig in process.signals("SIGTERM", "SIGINT") do … end
---@param ... string their names
---@return fun(): string?
---@return nil
---@return nil
---@return table closing
function M.signals(...)
  local watcher = system.signals(...)
  local function next_signal()
    return watcher:next()
  end
  return next_signal, nil, nil, watcher
end

---Ends the process: "exit" listeners run, then nothing more.
---@param code? integer default: process.exit_code
function M.exit(code)
  core.exit_code(code)
  call_all("exit", core.exit_code())
  os.exit(core.exit_code())
end

return setmetatable(M, {
  __index = function(_, name)
    if name == "exit_code" then return core.exit_code() end
    if name == "pid" then return system.pid end
  end,
  __newindex = function(self, name, value)
    if name == "exit_code" then
      core.exit_code(value)
    else
      rawset(self, name, value)
    end
  end,
})
