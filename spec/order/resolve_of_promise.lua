-- promise.resolve gives a promise back; nothing is adopted.
local promise = require("halo.promise")

local p = promise.resolve("same")
print(promise.resolve(p) == p)
promise.resolve(promise.resolve(p)):next(print)
promise.resolve():next(function()
  print("1")
end):next(function()
  print("2")
end)
