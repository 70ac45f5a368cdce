-- Tasks that await each other, the last started first.
local halo = require("halo")

local tasks = {}
for i = 4, 1, -1 do
  tasks[i] = halo.spawn(function()
    print("begin", i)
    local v = i > 1 and halo.await(tasks[i - 1]) or 0
    print("end", i, v)
    return v + i
  end)
end
tasks[4]:next(function(v)
  print("sum", v)
end)
print("script")
