-- Structured concurrency: halo.scope.
local core = require("halo.core")

local is_error = core.is_error

---@class halo.Scope
local Scope = {}
Scope.__index = Scope

-- Called when a child has settled, at once, outside all tasks.
local function child_ended(scope, task)
  scope._live[task] = nil
  scope._count = scope._count - 1
  if task:status() == "rejected" then
    scope:_fail(task)
  end
  if scope._count == 0 and scope._joiner then
    scope._joiner:wake()
  end
end

-- The first failure counts; it cancels everything else.
function Scope:_fail(task)
  if core.was_canceled(task) then
    return
  end
  if not self._failed and not self._cancelled then
    self._failed = task
    self:_cancel_all()
    self._frame:cancel()
  end
end

function Scope:_cancel_all()
  for task in pairs(self._live) do
    task:cancel("its scope has ended")
  end
end

---Starts a task that does not outlive the scope.
---@param fn function
---@param ... any
---@return halo.Task
function Scope:spawn(fn, ...)
  if self._ended then
    error("the scope has ended", 2)
  end
  local task = core.spawn(fn, ...)
  self._live[task] = true
  self._count = self._count + 1
  core.on_settled(task, function()
    child_ended(self, task)
  end)
  if self._cancelled or self._failed then
    task:cancel("its scope is cancelled")
  end
  return task
end

---Cancels all tasks of the scope and the waits of its function.
function Scope:cancel()
  if self._ended then
    return
  end
  self._cancelled = true
  self:_cancel_all()
  self._frame:cancel()
end

-- Waits for all children.
local function join(scope)
  while scope._count > 0 do
    scope._joiner = core.waiter("scope")
    scope._joiner:park()
  end
end

local function run(fn)
  local scope = setmetatable({ _live = {}, _count = 0, _frame = core.frame() }, Scope)
  local results = table.pack(core.guard(scope._frame, fn, scope))
  local ok, err, trace = results[1], results[2], results[3]
  -- ECANCELED out of the function because a child failed or cancel was called
  -- is the scope's own doing.
  local own = not ok and is_error(err, "ECANCELED") and (scope._failed or scope._cancelled)
  if not ok and not own then
    scope._body_failed = not scope._failed
    scope._failed = scope._failed or true
    scope:_cancel_all()
  end
  local joined, join_err = pcall(join, scope)
  if not joined then -- cancelled from outside: the children end first
    scope:_cancel_all()
    core.shield(join, scope)
  end
  scope._ended = true
  if scope._body_failed then
    core.raise(err, trace)
  end
  if scope._failed then
    core.rethrow(scope._failed)
  end
  if not joined then
    error(join_err, 0)
  end
  if ok then
    return table.unpack(results, 2, results.n)
  end
end

return run
