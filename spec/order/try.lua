-- promise.try calls at once and takes what comes, raised or returned.
local promise = require("halo.promise")

promise.try(function(a)
  print("called")
  return a
end, "value"):next(print)
promise.try(function()
  error("raised", 0)
end):catch(print)
promise.try(function()
  return promise.resolve("promise")
end):next(print)
local p = promise.resolve()
for i = 1, 4 do
  p = p:next(function()
    print("turn", i)
  end)
end
print("script")
