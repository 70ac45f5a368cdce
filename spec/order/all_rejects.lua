-- all takes the first rejection; the others are dealt with.
local halo = require("halo")
local promise = require("halo.promise")

local slow, resolve_slow = promise.with_resolvers()
promise.all({ slow, promise.reject("first"), promise.reject("second") }):next(print, function(e)
  print("rejected", e)
end)
slow:next(print)
halo.queue_microtask(resolve_slow, "slow")
local p = promise.resolve()
for i = 1, 5 do
  p = p:next(function()
    print("turn", i)
  end)
end
