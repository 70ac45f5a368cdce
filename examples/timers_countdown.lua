-- Timers: a countdown, and a reminder that is put off again and again.
local halo = require "halo"
local timers = require "halo.timers"

local reminder = timers.set_timeout(print, 0.04, "nothing has happened for a while")
local heartbeat = timers.set_interval(function() reminder:refresh() end, 0.01)

for n in timers.every(0.02) do
  print(4 - n)
  if n == 3 then break end -- leaving the loop clears its timer
end
print("go")
heartbeat:clear()

timers.set_interval(print, 60, "once a minute"):unref() -- keeps nobody waiting
halo.run()

--> 3
--> 2
--> 1
--> go
--> nothing has happened for a while
