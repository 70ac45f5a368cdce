-- A thenable's __then is called in a turn of its own.
local halo = require("halo")
local promise = require("halo.promise")

local function thenable(name, settle)
  return setmetatable({}, {
    __then = function(_, resolve, reject)
      print("then of " .. name)
      settle(resolve, reject)
    end,
  })
end
local function count(n)
  local p = promise.resolve()
  for i = 1, n do
    p = p:next(function()
      print("turn", i)
    end)
  end
end
promise.resolve(thenable("a", function(resolve)
  resolve("a")
  resolve("again")
  error("late")
end)):next(print)
promise.new(function(resolve)
  resolve(thenable("b", function(_, reject)
    reject("b")
    reject("again")
  end))
end):catch(print)
promise.resolve():next(function()
  return thenable("c", function(resolve)
    resolve(thenable("d", function(inner)
      halo.queue_microtask(inner, "d")
    end))
  end)
end):next(print)
promise.resolve(thenable("e", function()
  error("e", 0)
end)):catch(print)
count(9)
print("script")
