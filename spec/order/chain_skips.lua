-- A reaction without the function wanted passes the value on, in a turn.
local promise = require("halo.promise")

promise.resolve("value"):catch(print):next(nil, print):next(print)
promise.reject("reason"):next(print):next(print):catch(print)
promise.resolve():next(function()
  print("1")
end):next(function()
  print("2")
end):next(function()
  print("3")
end):next(function()
  print("4")
end)
