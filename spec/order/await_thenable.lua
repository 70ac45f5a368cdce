-- An await of a thenable.
local halo = require("halo")
local promise = require("halo.promise")

local p = promise.resolve()
for i = 1, 4 do
  p = p:next(function()
    print("turn", i)
  end)
end
local thenable = setmetatable({}, {
  __then = function(_, resolve)
    print("then")
    resolve("value")
  end,
})
print(halo.await(thenable))
