-- All reactions of a promise run in the order they were added.
local promise = require("halo.promise")

local p, resolve = promise.with_resolvers()
for i = 1, 3 do
  p:next(function(v)
    print("before", i, v)
    p:next(function()
      print("late", i)
    end)
  end)
end
resolve("x")
p:next(function(v)
  print("after", v)
end)
print("script")
