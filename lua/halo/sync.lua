---Channels, semaphores, mutexes, events and conditions between tasks. All are
---fair (first come, first served); a waiter that is cancelled or whose time is
---up leaves no trace.
local core = require("halo.core")

local M = {}

-- A queue of waiters. A waiter is a table { waiter = core.waiter, … } in a
-- doubly linked list, so that leaving is O(1).

local function new_queue()
  local q = {}
  q.next, q.prev = q, q
  return q
end

local function append(q, node)
  node.prev, node.next = q.prev, q
  q.prev.next = node
  q.prev = node
end

local function remove(node)
  if node.next then
    node.prev.next = node.next
    node.next.prev = node.prev
    node.next, node.prev = nil, nil
  end
end

local function first(q)
  local node = q.next
  return node ~= q and node or nil
end

-- Waits in the queue until somebody takes the node out and wakes it.
local function wait_in(q, node, what)
  node.waiter = core.waiter(what)
  append(q, node)
  local ok, value, err = pcall(node.waiter.park, node.waiter)
  if not ok then
    remove(node)
    error(value, 0)
  end
  return value, err
end

-- Takes the node out and wakes it; false if it waits no more.
local function wake(node, ...)
  remove(node)
  return node.waiter:wake(...)
end

local function check_integer(value, min, name, arg)
  local n = math.tointeger(value)
  if not n or n < min then
    error(("bad argument #%d to '%s' (integer of at least %d expected)"):format(arg, name, min), 3)
  end
  return n
end

local function closed_error()
  return core.Error({ code = "EPIPE", message = "the channel is closed" })
end

-- Channels -------------------------------------------------------------------

---@class halo.Channel
local Channel = {}
Channel.__index = Channel

---A queue of values between tasks.
---@param capacity? integer values it holds before send waits; default 0: a
---send waits until its value is received
---@return halo.Channel
function M.channel(capacity)
  return setmetatable({
    _capacity = check_integer(capacity or 0, 0, "channel", 1),
    _head = 1,
    _count = 0,
    _senders = new_queue(),
    _receivers = new_queue(),
    _closed = false,
  }, Channel)
end

local function put(channel, value)
  channel[channel._head + channel._count] = value
  channel._count = channel._count + 1
end

local function take(channel)
  local value = channel[channel._head]
  channel[channel._head] = nil
  channel._count = channel._count - 1
  channel._head = channel._count == 0 and 1 or channel._head + 1
  return value
end

-- Gives the value to a receiver that waits.
local function hand_over(channel, value)
  local node = first(channel._receivers)
  while node do
    if wake(node, value) then
      return true
    end
    node = first(channel._receivers)
  end
  return false
end

---Sends a value; waits while the channel is full.
---@param value any not nil
---@return true? ok
---@return halo.Error? err EPIPE when the channel is closed
function Channel:send(value)
  if value == nil then
    error("bad argument #1 to 'send' (value expected)", 2)
  end
  if self._closed then
    return nil, closed_error()
  end
  if self:try_send(value) then
    return true
  end
  return wait_in(self._senders, { value = value }, "channel send")
end

---Sends a value if that needs no waiting.
---@param value any not nil
---@return boolean
function Channel:try_send(value)
  if value == nil then
    error("bad argument #1 to 'try_send' (value expected)", 2)
  end
  if self._closed then
    return false
  end
  if hand_over(self, value) then
    return true
  end
  if self._count >= self._capacity then
    return false
  end
  put(self, value)
  return true
end

---Receives a value if one is there.
---@return any value nil if there is none
function Channel:try_receive()
  local value
  if self._count > 0 then
    value = take(self)
  end
  -- A sender that waits comes next.
  while value == nil or self._count < self._capacity do
    local node = first(self._senders)
    if not node then
      break
    end
    if wake(node, true) then
      if value == nil then
        value = node.value
      else
        put(self, node.value)
      end
    end
    if value ~= nil and self._count >= self._capacity then
      break
    end
  end
  return value
end

---Receives a value; waits for one.
---@return any value nil once the channel is closed and empty
function Channel:receive()
  local value = self:try_receive()
  if value ~= nil or self._closed then
    return value
  end
  return (wait_in(self._receivers, {}, "channel receive"))
end

---Ends it: what it holds can still be received; senders that wait get EPIPE.
function Channel:close()
  if self._closed then
    return
  end
  self._closed = true
  local node = first(self._receivers)
  while node do
    wake(node, nil)
    node = first(self._receivers)
  end
  node = first(self._senders)
  while node do
    wake(node, nil, closed_error())
    node = first(self._senders)
  end
end

---@return integer values that it holds
function Channel:len()
  return self._count
end

Channel.__len = Channel.len
Channel.__close = Channel.close

---`for value in channel:iter()`: until it is closed and empty.
---@return fun(): any
function Channel:iter()
  return function()
    return self:receive()
  end
end

-- Semaphores -------------------------------------------------------------------

---@class halo.Semaphore
local Semaphore = {}
Semaphore.__index = Semaphore

---@param n integer permits
---@return halo.Semaphore
function M.semaphore(n)
  return setmetatable({ _permits = check_integer(n, 0, "semaphore", 1), _waiting = new_queue() }, Semaphore)
end

---Takes n permits (default 1); waits until they are there.
---@param n? integer
---@return true
function Semaphore:acquire(n)
  n = check_integer(n or 1, 1, "acquire", 1)
  if self:try_acquire(n) then
    return true
  end
  local ok, err = pcall(wait_in, self._waiting, { n = n }, "semaphore")
  if not ok then
    self:_serve() -- those behind may have waited for this one only
    error(err, 0)
  end
  return true
end

---Takes n permits if that needs no waiting and nobody waits already.
---@param n? integer
---@return boolean
function Semaphore:try_acquire(n)
  n = check_integer(n or 1, 1, "try_acquire", 1)
  if self._permits < n or first(self._waiting) then
    return false
  end
  self._permits = self._permits - n
  return true
end

function Semaphore:_serve()
  local node = first(self._waiting)
  while node and self._permits >= node.n do
    if wake(node) then
      self._permits = self._permits - node.n
    end
    node = first(self._waiting)
  end
end

---Gives n permits (default 1) back.
---@param n? integer
function Semaphore:release(n)
  self._permits = self._permits + check_integer(n or 1, 1, "release", 1)
  self:_serve()
end

-- Mutexes ----------------------------------------------------------------------

---@class halo.Mutex
local Mutex = {}
Mutex.__index = Mutex

-- What lock gives: unlocks when closed, once.
---@class halo.MutexGuard
local Guard = {}
Guard.__index = Guard

function Guard:unlock()
  local mutex = self._mutex
  self._mutex = nil
  if mutex then
    mutex:_unlock()
  end
end

Guard.__close = Guard.unlock
Guard.close = Guard.unlock

---@return halo.Mutex
function M.mutex()
  return setmetatable({ _locked = false, _waiting = new_queue() }, Mutex)
end

local function new_guard(mutex)
  return setmetatable({ _mutex = mutex }, Guard)
end

---`local g <close> = mutex:lock()`: waits until it is free.
---@return halo.MutexGuard
function Mutex:lock()
  if not self._locked then
    self._locked = true
    return new_guard(self)
  end
  wait_in(self._waiting, {}, "mutex")
  return new_guard(self)
end

---@return halo.MutexGuard? guard nil if it is locked
function Mutex:try_lock()
  if self._locked then
    return nil
  end
  self._locked = true
  return new_guard(self)
end

---@return boolean
function Mutex:is_locked()
  return self._locked
end

-- It goes straight to the next that waits.
function Mutex:_unlock()
  local node = first(self._waiting)
  while node do
    if wake(node) then
      return
    end
    node = first(self._waiting)
  end
  self._locked = false
end

-- Events -----------------------------------------------------------------------

---@class halo.SyncEvent
local Event = {}
Event.__index = Event

---A flag that tasks wait for.
---@return halo.SyncEvent
function M.event()
  return setmetatable({ _set = false, _waiting = new_queue() }, Event)
end

local function wake_all(q)
  local node = first(q)
  while node do
    wake(node, true)
    node = first(q)
  end
end

---Sets it and lets all go on that wait.
function Event:set()
  self._set = true
  wake_all(self._waiting)
end

function Event:clear()
  self._set = false
end

---@return boolean
function Event:is_set()
  return self._set
end

---Waits until it is set.
---@return true
function Event:wait()
  if not self._set then
    wait_in(self._waiting, {}, "event")
  end
  return true
end

-- Conditions -------------------------------------------------------------------

---@class halo.Condition
local Condition = {}
Condition.__index = Condition

---@return halo.Condition
function M.condition()
  return setmetatable({ _waiting = new_queue() }, Condition)
end

-- Locks the mutex again for a guard that was unlocked by a wait.
local function relock(mutex)
  if mutex._locked then
    wait_in(mutex._waiting, {}, "mutex")
  else
    mutex._locked = true
  end
end

---Unlocks the mutex, waits for a notification, and locks it again; it is
---locked also when this raises (cancelled).
---@param mutex halo.Mutex locked by the caller
---@return true
function Condition:wait(mutex)
  if getmetatable(mutex) ~= Mutex or not mutex._locked then
    error("bad argument #1 to 'wait' (locked mutex expected)", 2)
  end
  local node = {}
  mutex:_unlock()
  local ok, err = pcall(wait_in, self._waiting, node, "condition")
  if not ok then
    core.shield(relock, mutex)
    error(err, 0)
  end
  core.shield(relock, mutex)
  return true
end

---Lets the first that waits go on.
function Condition:notify()
  local node = first(self._waiting)
  while node do
    if wake(node, true) then
      return
    end
    node = first(self._waiting)
  end
end

---Lets all go on that wait.
function Condition:notify_all()
  wake_all(self._waiting)
end

return M
