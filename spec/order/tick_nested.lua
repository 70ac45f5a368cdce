-- Ticks of ticks run before any microtask, however deep.
local halo = require("halo")

halo.queue_microtask(print, "microtask")
local function dig(depth)
  print("tick", depth)
  if depth < 5 then
    halo.next_tick(dig, depth + 1)
  end
end
halo.next_tick(dig, 1)
halo.next_tick(print, "another")
