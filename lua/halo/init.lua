---Tasks, promises, microtasks and waits: `require "halo"`.
---
---A function marked "waits" suspends the task that calls it; called outside
---any task it runs the loop until it is done. Times are seconds.
local core = require("halo.core")

---@class halo
---@field version string
---@field Error fun(fields: table): halo.Error
local halo = {
  version = core.version,
  Error = core.Error,
}

---An error of the outside world: `nil, err`, never raised by a working call.
---@class halo.Error
---@field code string "ENOENT", "ETIMEDOUT", "ECANCELED", "ERR_…"
---@field message string
---@field errno? integer
---@field syscall? string
---@field path? string

---Tells whether a value is a halo.Error (with that code).
---@param v any
---@param code? string
---@return boolean
halo.is_error = core.is_error

---Runs the loop until nothing is left to do. With a function: runs it as a
---task and gives its results. In a task: waits until nothing else is left.
---@param fn? function
---@param ... any its arguments
---@return any ...
halo.run = core.run

---Starts a task; its body is one microtask, never run inline.
---@param fn function
---@param ... any its arguments
---@return halo.Task
halo.spawn = core.spawn

---Waits for a promise (or thenable): all its values; raises its reason.
---@param promise halo.Promise
---@return any ...
halo.await = core.await

---Waits for some seconds.
---@param seconds number
halo.sleep = core.sleep

---Lets everything else that is ready run first, one poll included. Waits.
halo.yield = core.yield

---Calls fn before any promise job, as soon as the running code has ended.
---@param fn function
---@param ... any its arguments
halo.next_tick = core.next_tick

---Calls fn as a microtask.
---@param fn function
---@param ... any its arguments
halo.queue_microtask = core.queue_microtask

---The running task; nil outside all tasks.
---@return halo.Task?
halo.current = core.current

---Calls fn with a time limit, in the running task. Waits.
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return any ... fn's results; nil, err (ETIMEDOUT) when the time was up
halo.timeout = core.timeout

---Calls fn; waits in it are not cancelled even though the task is. Waits.
---@param fn function
---@param ... any its arguments
---@return any ...
halo.shield = core.shield

---All that is open: sockets, servers, timers, tasks that wait. Times in
---seconds; created_at since the runtime's start.
---@return { kind: string, detail: string, created_at: number, age: number }[]
halo.resources = core.resources

local function callable(fn)
  if type(fn) == "function" then
    return true
  end
  local meta = getmetatable(fn)
  return type(meta) == "table" and meta.__call ~= nil
end

---Structured concurrency: returns what fn returns once all tasks of the scope
---have ended; the first error cancels the others and is raised. Waits.
---@param fn fun(scope: halo.Scope): ...
---@return any ...
function halo.scope(fn)
  if not callable(fn) then
    error("bad argument #1 to 'scope' (function expected, got " .. type(fn) .. ")", 2)
  end
  return require("halo.internal.scope")(fn)
end

local installers = {
  coroutine = core.install_coroutine,
  require = function()
    require("halo.internal.require").install()
  end,
  socket = function()
    require("halo.compat").install()
  end,
}

---Changes the host as asked: `coroutine = true` lets waits pass through user
---coroutines, `require = true` lets modules wait while they load (both are
---built into the command); `socket = true` puts halo.compat in LuaSocket's place.
---@param what { coroutine?: boolean, require?: boolean, socket?: boolean }
function halo.install(what)
  if type(what) ~= "table" then
    error("bad argument #1 to 'install' (table expected)", 2)
  end
  for name in pairs(what) do
    if not installers[name] then
      error("bad argument #1 to 'install' (unknown option '" .. tostring(name) .. "')", 2)
    end
  end
  for name, wanted in pairs(what) do
    if wanted then
      installers[name]()
    end
  end
end

-- halo.promise, halo.timers … are the modules of that name.
local modules = {}
for name in
  ([[promise timers context sync events buffer net http fs stream process
     perf path os child udp dns tls websocket url crypto encoding zlib json
     util worker]]):gmatch("%a+")
do
  modules[name] = true
end

return setmetatable(halo, {
  __index = function(_, name)
    if modules[name] then
      return require("halo." .. name) -- not kept: package.loaded decides
    end
  end,
})
