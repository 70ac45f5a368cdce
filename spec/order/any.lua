-- any: the first value, or all reasons together.
local promise = require("halo.promise")

local slow, resolve_slow = promise.with_resolvers()
promise.any({ promise.reject("no"), slow, promise.resolve("yes") }):next(function(v)
  print("any", v)
end)
promise.any({ promise.reject("a"), promise.reject("b") }):catch(function(e)
  print("none", table.concat(e.errors, " "))
end)
promise.any({}):catch(function(e)
  print("of nothing", #e.errors)
end)
resolve_slow("too slow")
local p = promise.resolve()
for i = 1, 5 do
  p = p:next(function()
    print("turn", i)
  end)
end
