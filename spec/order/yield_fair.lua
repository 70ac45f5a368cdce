-- Tasks that yield take turns.
local halo = require("halo")

for _, name in ipairs({ "a", "b", "c" }) do
  halo.spawn(function()
    for i = 1, 4 do
      print(name, i)
      halo.next_tick(print, "tick", name)
      halo.yield()
    end
  end)
end
