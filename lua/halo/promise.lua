---Promises: Promises/A+ with any number of values.
---
---A+'s `then` is `next`, `then` being a keyword. A thenable is any value whose
---metatable has a callable `__then(self, resolve, reject)`. Reactions take as
---many microtask turns as ECMAScript gives them.
local core = require("halo.core")

---@class halo.Promise
---@field next fun(self: halo.Promise, on_value?: function, on_error?: function): halo.Promise
---@field catch fun(self: halo.Promise, on_error: function): halo.Promise
---@field await fun(self: halo.Promise): ...  waits
---@field status fun(self: halo.Promise): "pending"|"fulfilled"|"rejected"

---@class halo.Task: halo.Promise
---@field cancel fun(self: halo.Task, reason?: any)
---@field cancelled fun(self: halo.Task): boolean
---@field id fun(self: halo.Task): integer
---@field name fun(self: halo.Task, name?: string): string?
---@field traceback fun(self: halo.Task): string

local M = {}

local pack, unpack = table.pack, table.unpack
local next_of = core.promise_methods.next
local with_resolvers, resolve = core.with_resolvers, core.resolve

---A promise that `executor` settles; what it raises rejects.
---@param executor fun(resolve: fun(...), reject: fun(err: any))
---@return halo.Promise
function M.new(executor)
  if type(executor) ~= "function" then
    error("bad argument #1 to 'new' (function expected, got " .. type(executor) .. ")", 2)
  end
  local promise, on_value, on_error = with_resolvers()
  local ok, err = pcall(executor, on_value, on_error)
  if not ok then
    on_error(err)
  end
  return promise
end

---A promise and the functions that settle it.
---@return halo.Promise, fun(...), fun(err: any)
M.with_resolvers = with_resolvers

---A promise fulfilled with the values; a single promise is given back.
---@param ... any
---@return halo.Promise
M.resolve = resolve

---A rejected promise.
---@param err any
---@return halo.Promise
M.reject = core.reject

---Calls fn at once; a promise of its results, rejected with what it raises.
---@param fn function
---@param ... any
---@return halo.Promise
M["try"] = function(fn, ...)
  local promise, on_value, on_error = with_resolvers()
  local results = pack(pcall(fn, ...))
  if results[1] then
    on_value(unpack(results, 2, results.n))
  else
    on_error(results[2])
  end
  return promise
end

---Calls fn without arguments however the promise settles, waits for what it
---returns, and passes the values or the reason on.
---@param fn function
---@return halo.Promise
local function finally(self, fn)
  if type(fn) ~= "function" then
    return next_of(self)
  end
  return next_of(self, function(...)
    local values = pack(...)
    return next_of(resolve(fn()), function()
      return unpack(values, 1, values.n)
    end)
  end, function(err)
    return next_of(resolve(fn()), function()
      error(err, 0)
    end)
  end)
end
core.promise_methods.finally = finally
core.task_methods.finally = finally

local function check_table(t, name)
  if type(t) ~= "table" then
    error(("bad argument #1 to '%s' (table expected, got %s)"):format(name, type(t)), 3)
  end
end

-- The combinators follow ECMA-262, 27.2.4: resolve(v):next(…) for each entry.
-- The keys are taken first, so that a callback may change the table.

local function entries(t)
  local keys, list = {}, #t
  for i = 1, list do
    keys[i] = i
  end
  for k in pairs(t) do
    if not (math.type(k) == "integer" and k >= 1 and k <= list) then
      keys[#keys + 1] = k
    end
  end
  return keys
end

---All values under the same keys; the first rejection rejects.
---@param t table promises or values, a list or keyed
---@return halo.Promise
function M.all(t)
  check_table(t, "all")
  local promise, on_value, on_error = with_resolvers()
  local results, keys = {}, entries(t)
  local left = #keys
  if left == 0 then
    on_value(results)
  end
  for _, k in ipairs(keys) do
    next_of(resolve(t[k]), function(value)
      results[k] = value
      left = left - 1
      if left == 0 then
        on_value(results)
      end
    end, on_error)
  end
  return promise
end

---How each has settled: `{status=, value=, values=, n=}` or `{status=, reason=}`.
---@param t table
---@return halo.Promise
function M.all_settled(t)
  check_table(t, "all_settled")
  local promise, on_value = with_resolvers()
  local results, keys = {}, entries(t)
  local left = #keys
  if left == 0 then
    on_value(results)
  end
  local function settled(k, result)
    results[k] = result
    left = left - 1
    if left == 0 then
      on_value(results)
    end
  end
  for _, k in ipairs(keys) do
    next_of(resolve(t[k]), function(...)
      settled(k, { status = "fulfilled", value = (...), values = { ... }, n = select("#", ...) })
    end, function(err)
      settled(k, { status = "rejected", reason = err })
    end)
  end
  return promise
end

---The first value; if all reject, an error whose `errors` has the same keys.
---@param t table
---@return halo.Promise
function M.any(t)
  check_table(t, "any")
  local promise, on_value, on_error = with_resolvers()
  local errors, keys = {}, entries(t)
  local left = #keys
  local function fail()
    on_error(core.Error({
      code = "ERR_PROMISE_ANY",
      message = "all promises were rejected",
      errors = errors,
    }))
  end
  if left == 0 then
    fail()
  end
  for _, k in ipairs(keys) do
    next_of(resolve(t[k]), on_value, function(err)
      errors[k] = err
      left = left - 1
      if left == 0 then
        fail()
      end
    end)
  end
  return promise
end

---Settles as the first of them does.
---@param t table
---@return halo.Promise
function M.race(t)
  check_table(t, "race")
  local promise, on_value, on_error = with_resolvers()
  for _, k in ipairs(entries(t)) do
    next_of(resolve(t[k]), on_value, on_error)
  end
  return promise
end

---Tells whether a value is a promise (or Task).
---@param v any
---@return boolean
function M.is_promise(v)
  return core.is_promise(v)
end

return M
