-- Three tasks with awaits in a loop take turns.
local halo = require("halo")
local promise = require("halo.promise")

for _, name in ipairs({ "a", "b", "c" }) do
  halo.spawn(function()
    for i = 1, 3 do
      print(name, i)
      halo.await(promise.resolve(i))
    end
    print(name, "ends")
  end)
end
promise.resolve():next(function()
  print("turn 1")
end):next(function()
  print("turn 2")
end)
