-- An object of one's own with events: listeners, and tasks that wait for them.
local halo = require "halo"
local events = require "halo.events"

local Download = {}
Download.__index = Download

local function download(name)
  return events.new(setmetatable({ name = name }, Download))
end

function Download:run()
  for percent = 25, 100, 25 do
    halo.sleep(0.001)
    self:emit("progress", percent)
  end
  self:emit("done", self.name)
end

local d = download("halo.tar.gz")
d:once("progress", function() print("it has begun") end)

local watcher = halo.spawn(function()
  for percent in events.iter(d, "progress") do
    print(percent .. " %")
    if percent == 100 then break end -- stops listening
  end
end)

halo.spawn(d.run, d)
print(events.once(d, "done"))
halo.await(watcher)

--> it has begun
--> 25 %
--> 50 %
--> 75 %
--> 100 %
--> halo.tar.gz
