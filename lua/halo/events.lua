---Events: objects with named events and listeners, in the order they were
---added. Listeners run in the task that emits, one after the other, and may
---wait: then emit waits. An "error" that nobody listens for is raised.
local core = require("halo.core")

local M = {}

---@class halo.Emitter
local Emitter = {}

-- Emitter -> event name -> list of { fn, once }. Kept beside the object, so
-- that a mix-in adds no field but its methods.
local registry = setmetatable({}, { __mode = "k" })

local function listeners_of(emitter, name)
  local events = registry[emitter]
  return events and events[name]
end

local function check_function(fn, name)
  if type(fn) == "function" then
    return
  end
  local meta = getmetatable(fn)
  if not (meta and type(meta) == "table" and meta.__call) then
    error(("bad argument #2 to '%s' (function expected, got %s)"):format(name, type(fn)), 3)
  end
end

local function add(emitter, name, fn, once)
  if name == nil then
    error("bad argument #1 (event name expected)", 3)
  end
  local events = registry[emitter]
  if not events then
    events = {}
    registry[emitter] = events
  end
  -- A new list each time: an emit under way goes on over the old one.
  local list = { table.unpack(events[name] or {}) }
  list[#list + 1] = { fn = fn, once = once }
  events[name] = list
end

local function drop(emitter, name, record)
  local events = registry[emitter]
  local old = events and events[name]
  if not old then
    return
  end
  local list = {}
  for _, r in ipairs(old) do
    if r ~= record then
      list[#list + 1] = r
    end
  end
  events[name] = #list > 0 and list or nil
end

---Adds a listener.
---@param name any
---@param fn function
---@return halo.Emitter self
function Emitter:on(name, fn)
  check_function(fn, "on")
  add(self, name, fn, false)
  return self
end

---Adds a listener for the next time only.
---@param name any
---@param fn function
---@return halo.Emitter self
function Emitter:once(name, fn)
  check_function(fn, "once")
  add(self, name, fn, true)
  return self
end

---Removes a listener (the last added of that function), all of an event, or all.
---@param name? any
---@param fn? function
---@return halo.Emitter self
function Emitter:off(name, fn)
  if name == nil then
    registry[self] = nil
  elseif fn == nil then
    local events = registry[self]
    if events then
      events[name] = nil
    end
  else
    local list = listeners_of(self, name) or {}
    for i = #list, 1, -1 do
      if list[i].fn == fn then
        drop(self, name, list[i])
        break
      end
    end
  end
  return self
end

---Calls the listeners with the arguments, one after the other.
---@param name any
---@param ... any
---@return boolean whether there were any
function Emitter:emit(name, ...)
  local list = listeners_of(self, name)
  if not list then
    if name == "error" then
      local err = ...
      if err == nil then
        err = core.Error({ code = "ERR_UNHANDLED_ERROR", message = "an 'error' event without an error" })
      end
      error(err, 0)
    end
    return false
  end
  for _, record in ipairs(list) do
    if not record.once then
      record.fn(...)
    elseif not record.called then -- not by an emit inside this one
      record.called = true
      drop(self, name, record)
      record.fn(...)
    end
  end
  return true
end

---@param name any
---@return function[]
function Emitter:listeners(name)
  local fns = {}
  for i, record in ipairs(listeners_of(self, name) or {}) do
    fns[i] = record.fn
  end
  return fns
end

---@param name any
---@return integer
function Emitter:listener_count(name)
  return #(listeners_of(self, name) or {})
end

---A new emitter, or `object` with an emitter's methods mixed in.
---@param object? table
---@return halo.Emitter
function M.new(object)
  if object == nil then
    return setmetatable({}, { __index = Emitter, __name = "halo.Emitter" })
  end
  for name, method in pairs(Emitter) do
    object[name] = method
  end
  return object
end

---Waits for the next event of that name: its arguments. An "error" meanwhile
---is raised.
---@param emitter halo.Emitter
---@param name any
---@return any ...
function M.once(emitter, name)
  local waiter = core.waiter("events")
  local result
  local function on_event(...)
    result = result or table.pack(true, ...)
    waiter:wake()
  end
  local function on_error(err)
    result = result or { false, err }
    waiter:wake()
  end
  local cleanup <close> = setmetatable({}, {
    __close = function()
      emitter:off(name, on_event)
      if name ~= "error" then
        emitter:off("error", on_error)
      end
    end,
  })
  emitter:on(name, on_event)
  if name ~= "error" then
    emitter:on("error", on_error)
  end
  waiter:park()
  if not result[1] then
    error(result[2], 0)
  end
  return table.unpack(result, 2, result.n)
end

---`for … in events.iter(emitter, name)`: every event from now on, none lost
---while the loop's body waits. `break` stops listening; an "error" is raised.
---@param emitter halo.Emitter
---@param name any
---@return fun(): ...
function M.iter(emitter, name)
  local waiter = core.waiter("events")
  local queue, head, count, failure = {}, 1, 0, nil
  local function on_event(...)
    queue[head + count] = table.pack(...)
    count = count + 1
    waiter:wake()
  end
  local function on_error(err)
    failure = failure or { err }
    waiter:wake()
  end
  emitter:on(name, on_event)
  if name ~= "error" then
    emitter:on("error", on_error)
  end
  local closing = setmetatable({}, {
    __close = function()
      emitter:off(name, on_event)
      if name ~= "error" then
        emitter:off("error", on_error)
      end
    end,
  })
  local function step()
    while count == 0 do
      if failure then
        error(failure[1], 0)
      end
      waiter:park()
    end
    local args = queue[head]
    queue[head] = nil
    count = count - 1
    head = count == 0 and 1 or head + 1
    return table.unpack(args, 1, args.n)
  end
  return step, nil, nil, closing
end

M.Emitter = Emitter

return M
