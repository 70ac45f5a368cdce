-- After I/O the check phase comes before the timers.
local fs = require("halo.fs")
local timers = require("halo.timers")

print(fs.stat("/").type)
timers.set_timeout(print, 0, "timer")
timers.set_immediate(print, "immediate")
print("stat done")
