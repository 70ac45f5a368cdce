-- An await of a promise that adopts another.
local halo = require("halo")
local promise = require("halo.promise")

local p = promise.resolve()
for i = 1, 6 do
  p = p:next(function()
    print("turn", i)
  end)
end
print(halo.await(promise.new(function(resolve)
  resolve(promise.resolve("adopted"))
end)))
print(halo.await(promise.resolve("x"):next(function(v)
  return v .. "y"
end)))
