-- finally: no arguments, the value passes, its turns.
local promise = require("halo.promise")

local function count(n)
  local p = promise.resolve()
  for i = 1, n do
    p = p:next(function()
      print("turn", i)
    end)
  end
end
promise.resolve("value"):finally(function(...)
  print("finally", select("#", ...))
  return "ignored"
end):next(print)
promise.reject("reason"):finally(function(...)
  print("finally of rejected", select("#", ...))
end):catch(print)
promise.resolve("replaced"):finally(function()
  error("raised in finally", 0)
end):catch(print)
promise.reject("replaced"):finally(function()
  return promise.reject("rejected in finally")
end):catch(print)
promise.resolve("waited"):finally(function()
  return promise.resolve("for this")
end):next(print)
count(12)
