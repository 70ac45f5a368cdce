-- Generators that wait and yield inside time limits, contexts and shields, and
-- are run, left and closed by several tasks.
local halo = require "halo"
halo.install { coroutine = true }

math.randomseed(tonumber((...)) or 1)
local restless = select(2, ...) == "restless"
if restless then collectgarbage("setpause", 1) end
local random = math.random
local context = halo.context.new(0)

local function short() return random(0, 2) / 1000 end

-- Yields 1, 2, 3 … with waits between, in a nest of frames.
local function body(depth, n)
  if depth > 0 then
    local kind = random(5)
    if kind == 1 then
      return halo.timeout(random(3) == 1 and 0.002 or 30, body, depth - 1, n)
    elseif kind == 2 then
      return halo.shield(body, depth - 1, n)
    elseif kind == 3 then
      local value = random(100)
      return context:run(value, function()
        local count = body(depth - 1, n)
        assert(context:get() == value, "another context")
        return count
      end)
    elseif kind == 4 then
      local ok, err = pcall(body, depth - 1, n)
      if not ok then error(err, 0) end
      return err
    else -- a generator over a generator
      local inner = coroutine.wrap(body)
      for i = 1, n do
        local got = inner(depth - 1, n)
        if got ~= i then return end -- its time was up
        coroutine.yield(i)
      end
      return
    end
  end
  local outer = context:get()
  for i = 1, n do
    if random(2) == 1 then halo.sleep(short()) end
    coroutine.yield(i)
    assert(context:get() == outer, "another context")
    if random(4) == 1 then halo.yield() end
  end
end

local shared = {}

local function user()
  for _ = 1, 12 do
    local co = coroutine.create(body)
    local n = random(6)
    local here = random(100)
    context:run(here, function()
      for i = 1, n do
        local ok, value = coroutine.resume(co, random(0, 4), n)
        assert(context:get() == here, "another context")
        if not ok then
          assert(halo.is_error(value, "ECANCELED"), value)
          break
        end
        assert(value == nil or value == i or halo.is_error(value, "ETIMEDOUT"), value)
        if coroutine.status(co) == "dead" then break end
        if random(6) == 1 then break end
      end
    end)
    local kind = random(4)
    if coroutine.status(co) == "suspended" then
      if kind == 1 then
        coroutine.close(co)
        if random(2) == 1 then collectgarbage() end
        assert(coroutine.resume(co) == false)
      elseif kind == 2 then
        shared[#shared + 1] = co
      elseif kind == 3 then
        local task = halo.spawn(coroutine.resume, co)
        if random(2) == 1 then halo.yield() end
        task:cancel()
        pcall(halo.await, task)
      end
    end
    if random(4) == 1 and #shared > 0 then
      local other = table.remove(shared, random(#shared))
      if coroutine.status(other) == "suspended" then coroutine.resume(other) end
    end
  end
end

halo.await(halo.spawn(function()
  local tasks = {}
  for i = 1, restless and 4 or 12 do tasks[i] = halo.spawn(user) end
  for _, task in ipairs(tasks) do halo.await(task) end
end))
for _, co in ipairs(shared) do
  if coroutine.status(co) == "suspended" then coroutine.close(co) end
end
collectgarbage()
collectgarbage()
assert(#halo.resources() == 0, "something is open")
print("ok")
