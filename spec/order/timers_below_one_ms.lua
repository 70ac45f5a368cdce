-- Less than a millisecond counts as one.
local timers = require("halo.timers")

timers.set_timeout(print, 0.001, "1 ms")
timers.set_timeout(print, 0, "0 ms")
timers.set_timeout(print, 0.0004, "0.4 ms")
timers.set_timeout(print, 0.001, "1 ms again")
