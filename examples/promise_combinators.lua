-- Promises: waiting for all, for the first, for whatever becomes of them.
local halo = require "halo"
local promise = require "halo.promise"

local function ask(server, seconds, answer)
  return halo.spawn(function()
    halo.sleep(seconds)
    if not answer then error(server .. " is down", 0) end
    return answer
  end)
end

-- Keyed tables give keyed results.
local page = halo.await(promise.all {
  title = ask("db", 0.01, "Halo"),
  visitors = ask("counter", 0.02, 42),
})
print(page.title, page.visitors)

-- The fastest that answers at all.
print(halo.await(promise.any { ask("a", 0.001), ask("b", 0.02, "b's answer"), ask("c", 5, "c's") }))

for name, result in pairs(halo.await(promise.all_settled { lost = ask("d", 0.001) })) do
  print(name, result.status, result.reason)
end

-- A promise that is settled by hand.
local ready, resolve = promise.with_resolvers()
ready:next(function(...) print("ready with", ...) end)
resolve(1, 2, 3)
halo.yield()
os.exit() -- does not wait for c

--> Halo	42
--> b's answer
--> lost	rejected	d is down
--> ready with	1	2	3
