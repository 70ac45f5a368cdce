-- A seeded random program of everything; prints "ok" when all that must hold
-- has held. Arguments: the seed, and "restless" for a collector that never rests.
local halo = require "halo"
local timers, promise, sync = halo.timers, halo.promise, halo.sync
local contexts = { halo.context.new("a"), halo.context.new("b") }

math.randomseed(tonumber((...)) or 1)
local restless = select(2, ...) == "restless"
if restless then collectgarbage("setpause", 1) end
local random = math.random

local begun, ended, budget = 0, 0, restless and 1500 or 4000
local semaphore, permits = sync.semaphore(3), 3
local mutex, inside = sync.mutex(), 0
local channel, sent, received = sync.channel(2), 0, 0
local all = {}

local function short() return random(0, 4) / 1000 end
local function canceled(err) return halo.is_error(err, "ECANCELED") end

local act -- does one random thing; the depth limits nesting

-- A task that counts its beginning and its end.
local function start(spawn, depth, in_scope)
  if budget <= 0 then return end
  budget = budget - 1
  local state = "new"
  local task = spawn(function()
    assert(state == "new", "began twice")
    state = "runs"
    begun = begun + 1
    local _ <close> = setmetatable({}, { __close = function()
      assert(state == "runs", "ended twice")
      state = "ended"
      ended = ended + 1
    end })
    for _ = 1, random(3) do act(depth) end
    return depth
  end)
  all[#all + 1] = task
  if not in_scope then task:catch(function() end) end -- a scope looks after its own
  return task
end

local actions = {
  function() halo.sleep(short()) end,
  function() halo.yield() end,
  function(depth) start(halo.spawn, depth) end,
  function(depth)
    local task = start(halo.spawn, depth)
    if task then halo.await(task) end
  end,
  function()
    local task = all[random(#all)]
    if task and task ~= halo.current() then
      local ok, err = pcall(halo.timeout, short(), halo.await, task)
      if not ok and not canceled(err) and err ~= "thrown" then error(err, 0) end
    end
  end,
  function()
    local task = all[random(#all)]
    if task then task:cancel(random(2) == 1 and "chance" or nil) end
  end,
  function(depth) halo.timeout(short(), act, depth) end,
  function(depth) halo.shield(act, depth) end,
  function(depth)
    local c, v = contexts[random(#contexts)], random(100)
    c:run(v, function()
      act(depth)
      assert(c:get() == v, "another context")
    end)
  end,
  function(depth)
    local ok, err = pcall(halo.scope, function(s)
      for _ = 1, random(4) do start(function(f) return s:spawn(f) end, depth, true) end
      local siblings = {}
      for i = 1, random(4) do
        siblings[i] = start(function(f) return s:spawn(f) end, depth, true)
        local other = siblings[random(i)]
        if other then start(function(f) return s:spawn(function() f() halo.await(other) end) end, depth, true) end
      end
      if random(4) == 1 then s:cancel() end
      if siblings[1] and random(2) == 1 then halo.await(siblings[1]) end
      act(depth)
      if random(4) == 1 then error("thrown", 0) end
      for _ = 1, random(2) do start(function(f) return s:spawn(f) end, depth, true) end
    end)
    if not ok and not canceled(err) and err ~= "thrown" then error(err, 0) end
  end,
  function()
    local n = random(2)
    if random(3) == 1 then
      if not semaphore:try_acquire(n) then return end
    elseif not halo.timeout(short(), semaphore.acquire, semaphore, n) then
      return
    end
    permits = permits - n
    assert(permits >= 0, "too many permits")
    local _ <close> = setmetatable({}, { __close = function()
      permits = permits + n
      semaphore:release(n)
    end })
    halo.sleep(short())
  end,
  function()
    local _ <close> = mutex:lock()
    inside = inside + 1
    local _ <close> = setmetatable({}, { __close = function() inside = inside - 1 end })
    assert(inside == 1, "two in the mutex")
    halo.sleep(short())
  end,
  function()
    -- counted before, so that a receiver never gets ahead of the count
    if channel:try_send(sent + 1) then sent = sent + 1 end
  end,
  function()
    local v = channel:try_receive()
    if v then received = received + 1 end
  end,
  function() timers.set_timeout(function() halo.sleep(short()) end, short()) end,
  function() timers.set_immediate(function() halo.yield() end) end,
  function() timers.set_timeout(error, 60, "not cleared"):clear() end,
  function()
    local p, resolve, reject = promise.with_resolvers()
    timers.set_timeout(function()
      if random(2) == 1 then resolve(1, 2) else reject("thrown") end
    end, short())
    p:catch(function() end)
    local ok, a, b = pcall(halo.await, p)
    if ok then assert(a == 1 and b == 2) elseif a ~= "thrown" then error(a, 0) end
  end,
  function()
    local race = promise.race { all[random(#all)], promise.resolve(1) }
    race:catch(function() end)
    local ok, err = pcall(halo.await, race)
    if not ok and err ~= "thrown" then error(err, 0) end
  end,
  function() halo.next_tick(function() halo.sleep(short()) end) end,
  function() halo.queue_microtask(function() halo.yield() end) end,
  function() halo.fs.stat("/") end,
  function() assert(not halo.timeout(short(), halo.fs.stat, "/none")) end,
  function() error("thrown", 0) end,
  function() collectgarbage("step") end,
}

function act(depth)
  if depth <= 0 then
    halo.sleep(short())
    return
  end
  local ok, err = pcall(actions[random(#actions)], depth - 1)
  if not ok then
    if err ~= "thrown" and not canceled(err) then
      io.stderr:write(tostring(err), "\n")
      os.exit(1)
    end
    if random(2) == 1 then error(err, 0) end
  end
end

halo.await(halo.spawn(function()
  while budget > 0 do
    start(halo.spawn, 4)
    if random(3) == 1 then halo.sleep(0.001) end
  end
  for _, task in ipairs(all) do pcall(halo.await, task) end
end))
while #halo.resources() > 0 do halo.yield() end

for _, task in ipairs(all) do assert(task:status() ~= "pending", "a task is pending") end
assert(begun == ended, "not all that began has ended")
assert(permits == 3 and semaphore:try_acquire(3), "permits are lost")
assert(inside == 0 and not mutex:is_locked(), "the mutex is locked")
assert(sent == received + channel:len(), "values are lost")
print("ok")
