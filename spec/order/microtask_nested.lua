-- Microtasks of microtasks run before any tick that they queue.
local halo = require("halo")

local function dig(name, depth)
  print(name, depth)
  if depth < 4 then
    halo.next_tick(print, "tick of " .. name, depth)
    halo.queue_microtask(dig, name, depth + 1)
  end
end
halo.queue_microtask(dig, "a", 1)
halo.queue_microtask(dig, "b", 1)
