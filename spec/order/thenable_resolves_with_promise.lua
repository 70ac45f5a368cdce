-- A thenable that hands over a promise.
local promise = require("halo.promise")

local function thenable(value)
  return setmetatable({}, {
    __then = function(_, resolve)
      print("then")
      resolve(value)
    end,
  })
end
promise.resolve(thenable(promise.resolve("of a promise"))):next(print)
promise.resolve(thenable(promise.reject("of a rejected one"))):catch(print)
promise.resolve(thenable("of a value")):next(print)
local p = promise.resolve()
for i = 1, 7 do
  p = p:next(function()
    print("turn", i)
  end)
end
