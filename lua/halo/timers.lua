---Timers. Times are seconds; less than 1 ms counts as 1 ms. Timers due at the
---same millisecond fire in the order they were set. Each callback runs in a
---task of its own.
local core = require("halo.core")
local timers = core.timers

---@class halo.Timer
---@field clear fun(self: halo.Timer)
---@field close fun(self: halo.Timer)
---@field ref fun(self: halo.Timer): halo.Timer
---@field unref fun(self: halo.Timer): halo.Timer does not keep the process up
---@field has_ref fun(self: halo.Timer): boolean
---@field refresh fun(self: halo.Timer): halo.Timer its time begins anew

local M = {}

---Calls fn once, after some seconds.
---@param fn function
---@param seconds? number default 1 ms
---@param ... any its arguments
---@return halo.Timer
M.set_timeout = timers.set_timeout

---Calls fn every so many seconds, until cleared.
---@param fn function
---@param seconds number
---@param ... any its arguments
---@return halo.Timer
M.set_interval = timers.set_interval

---Calls fn after the coming poll for I/O.
---@param fn function
---@param ... any its arguments
---@return halo.Timer
M.set_immediate = timers.set_immediate

---Clears a timer; nil and one that has fired are no errors.
---@param timer? halo.Timer
M.clear = timers.clear

---`for n in timers.every(seconds)`: waits for each tick of an interval; n
---counts from 1. A loop that is slower than the interval skips no tick's turn
---but waits only for ticks to come. `break` ends it.
---@param seconds number
---@return fun(): integer
function M.every(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 2 ^ 31) then
    error("bad argument #1 to 'every' (time out of range (seconds, 0 to 2^31))", 2)
  end
  local n, ticks = 0, 0
  local waiter = core.waiter("timer")
  local timer = M.set_interval(function()
    ticks = ticks + 1
    waiter:wake()
  end, seconds)
  local function step()
    if ticks == 0 then
      waiter:park()
    end
    ticks = 0
    n = n + 1
    return n
  end
  return step, nil, nil, timer
end

return M
