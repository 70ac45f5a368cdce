-- Starting tasks that do not wait, until the last has finished. "ns": a million are started before
-- the first may run; "batched_ns": 1000 at a time. Medians of three. See spawn.js for what it is
-- compared with.
local halo = require "halo"

local has_perf, perf = pcall(require, "halo.perf")
local now = has_perf and perf.now or os.clock
local count = 1000000
local spawn, await = halo.spawn, halo.await
local finished = 0

local function measure(batch)
  local times = {}
  for sample = 1, 3 do
    finished = 0
    local begin = now()
    for _ = 1, count, batch do
      local last
      for _ = 1, batch do
        last = spawn(function() finished = finished + 1 end)
      end
      await(last)
    end
    times[sample] = (now() - begin) / count * 1e9
    assert(finished == count, "not all finished")
  end
  table.sort(times)
  return string.format("%.1f", times[2])
end

for _ = 1, 10000 do await(spawn(function() finished = finished + 1 end)) end
print("ns", measure(count))
print("batched_ns", measure(1000))
