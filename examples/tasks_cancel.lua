-- Cancelling a task: it stops at its wait, and cleans up on its way out.
local halo = require "halo"

-- A thing that has to be given back, which takes a moment.
local function lease(name)
  print("leased " .. name)
  return setmetatable({}, {
    __close = function()
      halo.shield(halo.sleep, 0.01) -- waits although the task is cancelled
      print("gave back " .. name)
    end,
  })
end

local worker = halo.spawn(function()
  local guard <close> = lease("the machine")
  for step = 1, math.huge do
    halo.sleep(0.01)
    if step == 1 then print("working") end
  end
end)

halo.sleep(0.05)
worker:cancel("the shift is over")

local ok, err = pcall(halo.await, worker)
print(ok, err.code, err.reason)

--> leased the machine
--> working
--> gave back the machine
--> false	ECANCELED	the shift is over
