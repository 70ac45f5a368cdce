-- Reading a file: the queues before it, and after it in the microtask phase.
local halo = require("halo")
local fs = require("halo.fs")

halo.next_tick(print, "tick before")
halo.queue_microtask(print, "microtask before")
print("script reads")
local text = fs.read_file("/dev/null")
print("read", #text)
halo.next_tick(print, "tick after")
halo.queue_microtask(print, "microtask after")
print("script ends")
