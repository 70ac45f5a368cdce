-- Raised errors go down the chain to the first handler, a link a turn.
local promise = require("halo.promise")

promise.resolve():next(function()
  print("raises")
  error("e1", 0)
end):next(print):finally(function()
  print("finally")
end):catch(function(e)
  print("caught", e)
  error("e2", 0)
end):next(print, function(e)
  print("caught", e)
  return "fine"
end):next(print)
local p = promise.resolve()
for i = 1, 8 do
  p = p:next(function()
    print("turn", i)
  end)
end
