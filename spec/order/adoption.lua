-- Resolving with a promise takes two turns more than with a value.
local promise = require("halo.promise")

local function count(n)
  local p = promise.resolve()
  for i = 1, n do
    p = p:next(function()
      print("turn", i)
    end)
  end
end
promise.new(function(resolve)
  resolve(promise.resolve("promise"))
end):next(print)
promise.new(function(resolve)
  resolve("value")
end):next(print)
count(5)
