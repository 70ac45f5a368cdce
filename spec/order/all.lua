-- all settles after its last entry; values stand in order.
local halo = require("halo")
local promise = require("halo.promise")

local slow, resolve_slow = promise.with_resolvers()
promise.all({ promise.resolve("a"), slow, "c" }):next(function(t)
  print("all", table.concat(t, " "))
end)
promise.all({ promise.resolve(1), promise.resolve(2) }):next(function()
  print("all of settled")
end)
promise.all({ 1, 2 }):next(function()
  print("all of plain values")
end)
promise.all({}):next(function()
  print("all of nothing")
end)
local p = promise.resolve()
for i = 1, 6 do
  p = p:next(function()
    print("turn", i)
  end)
end
halo.next_tick(resolve_slow, "b")
