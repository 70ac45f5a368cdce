-- A reaction that returns a promise: fulfilled, rejected and nested.
local promise = require("halo.promise")

local function count(n)
  local p = promise.resolve()
  for i = 1, n do
    p = p:next(function()
      print("turn", i)
    end)
  end
end
promise.resolve():next(function()
  return promise.resolve("inner")
end):next(print)
promise.resolve():next(function()
  return promise.reject("inner rejected")
end):catch(print)
promise.resolve():next(function()
  return promise.new(function(resolve)
    resolve(promise.resolve("twice nested"))
  end)
end):next(print)
count(9)
