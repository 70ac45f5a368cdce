-- all_settled: mixed, thenables among them, and nothing.
local promise = require("halo.promise")

local thenable = setmetatable({}, {
  __then = function(_, resolve)
    print("then")
    resolve("c")
  end,
})
promise.all_settled({ promise.resolve("a"), promise.reject("b"), thenable, 4 }):next(function(t)
  for i, r in ipairs(t) do
    print(i, r.status, r.status == "fulfilled" and r.value or r.reason)
  end
end)
promise.all_settled({}):next(function()
  print("settled nothing")
end)
local p = promise.resolve()
for i = 1, 6 do
  p = p:next(function()
    print("turn", i)
  end)
end
