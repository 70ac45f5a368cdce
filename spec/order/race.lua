-- race: whichever settles first; of nothing it never settles.
local halo = require("halo")
local promise = require("halo.promise")

local function later(turns, v, fails)
  return promise.new(function(resolve, reject)
    local function wait(n)
      if n > 0 then
        halo.queue_microtask(wait, n - 1)
      elseif fails then
        reject(v)
      else
        resolve(v)
      end
    end
    wait(turns)
  end)
end
promise.race({ later(3, "slow"), later(1, "quick"), later(2, "late", true) }):next(function(v)
  print("race", v)
end)
promise.race({ later(3, "slow"), later(2, "failure", true) }):next(print, function(e)
  print("race lost", e)
end)
promise.race({ "value", promise.resolve("promise") }):next(function(v)
  print("race", v)
end)
promise.race({}):next(print, print)
local p = promise.resolve()
for i = 1, 7 do
  p = p:next(function()
    print("turn", i)
  end)
end
