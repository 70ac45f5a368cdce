-- Timers of the same time fire in the order they were set.
local timers = require("halo.timers")

for i = 1, 5 do
  timers.set_timeout(print, 0.005, "timer", i)
end
print("script")
