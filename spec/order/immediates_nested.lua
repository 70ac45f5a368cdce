-- An immediate set by an immediate runs in the next turn of the loop.
local halo = require("halo")
local timers = require("halo.timers")

local function level(name, depth)
  print(name, depth)
  if depth < 3 then
    timers.set_immediate(level, name, depth + 1)
    halo.queue_microtask(function()
      timers.set_immediate(print, "of microtask", name, depth)
    end)
  end
end
timers.set_immediate(level, "a", 1)
timers.set_immediate(level, "b", 1)
