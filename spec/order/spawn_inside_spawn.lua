-- Tasks started by tasks, next to ticks and microtasks.
local halo = require("halo")

local function f(name, depth)
  print("begin", name)
  if depth > 0 then
    halo.spawn(f, name .. "1", depth - 1)
    halo.next_tick(print, "tick", name)
    halo.spawn(f, name .. "2", depth - 1)
  end
  print("end", name)
end
halo.spawn(f, "a", 2)
halo.spawn(f, "b", 1)
