-- A queue built of promises, one consumer and two producers.
local halo = require("halo")
local promise = require("halo.promise")

local items, waiting = {}, nil
local function push(v)
  items[#items + 1] = v
  if waiting then
    local wake = waiting
    waiting = nil
    wake()
  end
end
local function pop()
  while #items == 0 do
    local p, resolve = promise.with_resolvers()
    waiting = resolve
    halo.await(p)
  end
  return table.remove(items, 1)
end
halo.spawn(function()
  for _ = 1, 6 do
    print("got", pop())
  end
end)
for _, name in ipairs({ "a", "b" }) do
  halo.spawn(function()
    for i = 1, 3 do
      print("push", name .. i)
      push(name .. i)
      halo.await(promise.resolve())
    end
  end)
end
