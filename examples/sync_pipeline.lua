-- Channels and a mutex: three workers take jobs from one queue and write into
-- one report.
local halo = require "halo"
local sync = require "halo.sync"

local jobs = sync.channel(4) -- a producer that is ahead of them waits
local report, lines = sync.mutex(), {}

local function worker(name)
  for job in jobs:iter() do
    halo.sleep(0.001)
    local guard <close> = report:lock()
    local before = #lines
    halo.yield() -- without the lock another could write here
    assert(#lines == before)
    lines[#lines + 1] = ("%s by %s"):format(job, name)
  end
end

halo.scope(function(scope)
  for i = 1, 3 do scope:spawn(worker, "worker " .. i) end
  for i = 1, 9 do jobs:send("job " .. i) end
  jobs:close() -- what it holds is still done
end)
print(#lines .. " jobs are done")

-- At most two at a time.
local seats, most, seated = sync.semaphore(2), 0, 0
halo.scope(function(scope)
  for _ = 1, 8 do
    scope:spawn(function()
      seats:acquire()
      seated = seated + 1
      most = math.max(most, seated)
      halo.yield()
      seated = seated - 1
      seats:release()
    end)
  end
end)
print(most .. " at a time")

--> 9 jobs are done
--> 2 at a time
