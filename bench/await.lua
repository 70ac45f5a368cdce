-- Awaiting a promise that is already settled: five million times, median of five.
local halo = require "halo"
local resolve = require "halo.promise".resolve

local has_perf, perf = pcall(require, "halo.perf")
local now = has_perf and perf.now or os.clock
local count = 1000000
local await = halo.await

local promise = resolve(1)
for _ = 1, 100000 do await(promise) end
local times = {}
for sample = 1, 5 do
  local begin = now()
  local sum = 0
  for _ = 1, count do sum = sum + await(promise) end
  times[sample] = (now() - begin) / count * 1e9
  assert(sum == count, "wrong sum")
end
table.sort(times)
print("ns", string.format("%.1f", times[3]))
