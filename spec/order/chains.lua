-- Two chains and a microtask chain take turns, one link each.
local halo = require("halo")
local promise = require("halo.promise")

local function chain(name)
  local p = promise.resolve()
  for i = 1, 4 do
    p = p:next(function()
      print(name, i)
    end)
  end
end
local function micro(i)
  print("micro", i)
  if i < 4 then
    halo.queue_microtask(micro, i + 1)
  end
end
chain("a")
halo.queue_microtask(micro, 1)
chain("b")
