-- The earlier fires first, in whatever order they were set.
local timers = require("halo.timers")

timers.set_timeout(print, 0.06, "60 ms")
timers.set_timeout(print, 0.02, "20 ms")
timers.set_timeout(print, 0.04, "40 ms")
timers.set_timeout(print, 0, "0 ms")
timers.set_timeout(print, 0.02, "20 ms again")
print("script")
