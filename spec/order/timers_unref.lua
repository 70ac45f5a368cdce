-- An unref'd timer keeps nothing up; ref'd again it does.
local timers = require("halo.timers")

local a = timers.set_timeout(print, 3600, "must not fire"):unref()
local b = timers.set_timeout(print, 0.04, "ref'd again"):unref()
print(a:has_ref(), b:has_ref())
b:ref()
print(a:has_ref(), b:has_ref())
timers.set_timeout(print, 0.01, "unref'd, but due in time"):unref()
timers.set_interval(print, 3600, "must not fire"):unref()
