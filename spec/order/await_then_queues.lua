-- After a wait, microtasks go before ticks; before it, ticks before microtasks.
local halo = require("halo")
local promise = require("halo.promise")

halo.next_tick(print, "tick before")
halo.queue_microtask(print, "microtask before")
halo.await(promise.resolve())
print("awaited")
halo.next_tick(print, "tick after")
halo.queue_microtask(print, "microtask after")
halo.await(promise.resolve())
print("awaited again")
