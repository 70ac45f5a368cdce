-- A failed operation takes the way of a successful one.
local halo = require("halo")
local fs = require("halo.fs")

for i = 1, 3 do
  local stat, err = fs.stat("/no/such/file")
  print(i, stat, err.code)
  halo.queue_microtask(print, "microtask", i)
  halo.next_tick(print, "tick", i)
end
