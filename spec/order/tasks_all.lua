-- Tasks under promise.all, each with other waits.
local halo = require("halo")
local promise = require("halo.promise")

local function work(n)
  print("begin", n)
  for _ = 1, n do
    halo.await(promise.resolve())
  end
  print("end", n)
  return n * n
end
local tasks = {}
for i = 1, 3 do
  tasks[i] = halo.spawn(work, 4 - i)
end
print(table.concat(halo.await(promise.all(tasks)), " "))
print("raced", halo.await(promise.race({ halo.spawn(work, 2), halo.spawn(work, 1) })))
