-- A task is fulfilled as its body returns; who awaits it goes on a turn later.
local halo = require("halo")
local promise = require("halo.promise")

local p = promise.resolve()
for i = 1, 6 do
  p = p:next(function()
    print("turn", i)
  end)
end
local t = halo.spawn(function(a, b)
  print("body")
  halo.await(promise.resolve())
  print("body ends")
  return a + b
end, 1, 2)
print("result", halo.await(t))
print("again", halo.await(t))
print(pcall(halo.await, halo.spawn(function()
  error("raised", 0)
end)))
