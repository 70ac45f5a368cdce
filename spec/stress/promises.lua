-- A storm of promises: chains, adoption, thenables, combinators, cancelled
-- awaits, promises that are dropped while they are pending.
local halo = require "halo"
local promise = halo.promise

math.randomseed(tonumber((...)) or 1)
local restless = select(2, ...) == "restless"
if restless then collectgarbage("setpause", 1) end
local random = math.random

local pool, settled, expected = {}, 0, 0

-- A promise that settles sooner or later, by one of many ways.
local function make(depth)
  local kind = random(10)
  local p
  if depth <= 0 or kind == 1 then
    p = promise.resolve(random(9))
  elseif kind == 2 then
    p = promise.reject("thrown")
  elseif kind == 3 then
    p = halo.spawn(function()
      halo.sleep(random(0, 2) / 1000)
      if random(3) == 1 then error("thrown", 0) end
      return 1, nil, 3
    end)
  elseif kind == 4 then
    p = promise.resolve(setmetatable({}, { __then = function(_, resolve, reject)
      if random(3) == 1 then error("thrown", 0) end
      if random(2) == 1 then halo.yield() end
      if random(2) == 1 then resolve(make(depth - 1)) else reject("thrown") end
      resolve(2)
    end }))
  elseif kind == 5 then
    p = make(depth - 1):next(function() return make(depth - 1) end)
  elseif kind == 6 then
    p = make(depth - 1):next(function() halo.sleep(0.001) error("thrown", 0) end, function() return 1 end)
  elseif kind == 7 then
    p = make(depth - 1):finally(function() return make(depth - 1) end)
  elseif kind == 8 then
    local how = random(4)
    local list = { make(depth - 1), make(depth - 1), x = make(depth - 1), 5 }
    p = (how == 1 and promise.all or how == 2 and promise.any or how == 3 and promise.race
      or promise.all_settled)(list)
  elseif kind == 9 then
    p = promise.new(function(resolve, reject)
      local inner = make(depth - 1)
      inner:catch(function() end)
      if random(2) == 1 then resolve(inner) end
      reject("thrown")
    end)
  else
    p = pool[random(20)]
    if not p or p:status() == "pending" then p = promise.resolve() end -- no cycles
    p = p:next(function(...) return ... end)
  end
  p:catch(function() end)
  return p
end

local function fine(err)
  return err == "thrown" or halo.is_error(err, "ERR_PROMISE_ANY") or halo.is_error(err, "ECANCELED")
end

halo.await(halo.spawn(function()
  for round = 1, restless and 60 or 400 do
    local p = make(random(0, 4))
    expected = expected + 1
    local once = false
    local function count()
      assert(not once, "settled twice")
      once = true
      settled = settled + 1
    end
    p:next(count, function(err)
      assert(fine(err), err)
      count()
    end)
    pool[random(20)] = p
    local kind = random(4)
    if kind == 1 then
      local ok, err = pcall(halo.await, p)
      assert(ok or fine(err), err)
    elseif kind == 2 then
      local task = halo.spawn(halo.await, p)
      task:catch(function() end)
      if random(2) == 1 then halo.yield() end
      task:cancel()
      pcall(halo.await, task)
    elseif kind == 3 then
      pcall(halo.timeout, 0.001, halo.await, p)
    end
    do -- dropped while pending
      local dropped = promise.with_resolvers()
      dropped:next(print):finally(print)
    end
    if round % 20 == 0 then
      halo.yield()
      collectgarbage()
    end
  end
  for _ = 1, 2000 do
    if settled == expected then break end
    halo.sleep(0.001)
  end
  assert(settled == expected, "a promise has not settled")
end))
while #halo.resources() > 0 do halo.yield() end
print("ok")
