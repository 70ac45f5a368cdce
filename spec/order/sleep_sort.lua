-- The sleeping sort.
local halo = require("halo")
local promise = require("halo.promise")

local out, tasks = {}, {}
for i, n in ipairs({ 5, 1, 4, 2, 3 }) do
  tasks[i] = halo.spawn(function()
    halo.sleep(n * 0.015)
    out[#out + 1] = n
    return n
  end)
end
print(table.concat(halo.await(promise.all(tasks)), " "))
print(table.concat(out, " "))
