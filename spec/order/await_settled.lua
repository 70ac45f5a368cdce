-- An await of a settled promise takes one turn.
local halo = require("halo")
local promise = require("halo.promise")

local p = promise.resolve()
for i = 1, 4 do
  p = p:next(function()
    print("turn", i)
  end)
end
halo.next_tick(print, "tick")
print("before", halo.await(promise.resolve("1")))
print("again", halo.await(promise.resolve("2")))
print(pcall(halo.await, promise.reject("3")))
