-- Producers and consumers, with cancels and time limits at every wait: no
-- value is lost or doubled, and each producer's come in order.
local halo = require "halo"
local sync = halo.sync

math.randomseed(tonumber((...)) or 1)
local random = math.random

local function short() return random(0, 2) / 1000 end

local function play(capacity)
  local channel = sync.channel(capacity)
  local sent, got, last = {}, {}, {}
  local producers, consumers = random(5), random(5)
  local done = 0

  local function take(v)
    local who, n = v[1], v[2]
    assert(not got[v], "received twice")
    got[v] = true
    assert(consumers > 1 or n > (last[who] or 0), "out of order")
    last[who] = n
  end

  local tasks = {}
  for p = 1, producers do
    tasks[#tasks + 1] = halo.spawn(function()
      for n = 1, 60 do
        local v = { p, n }
        local kind = random(4)
        local ok
        if kind == 1 then
          ok = channel:try_send(v)
        elseif kind == 2 then
          ok = halo.timeout(short(), channel.send, channel, v)
        elseif kind == 3 then
          local task = halo.spawn(channel.send, channel, v)
          if random(2) == 1 then halo.yield() end
          task:cancel()
          ok = pcall(halo.await, task)
        else
          ok = channel:send(v)
        end
        if ok then sent[v] = true end
        if random(5) == 1 then halo.sleep(short()) end
      end
      done = done + 1
      if done == producers then channel:close() end
    end)
  end
  for _ = 1, consumers do
    tasks[#tasks + 1] = halo.spawn(function()
      while true do
        local kind = random(4)
        local v, err
        if kind == 1 then
          v = channel:try_receive()
          if not v then halo.yield() end
          err = not v
        elseif kind == 2 then
          v, err = halo.timeout(short(), channel.receive, channel)
        elseif kind == 3 then
          local task = halo.spawn(channel.receive, channel)
          if random(2) == 1 then halo.yield() end
          task:cancel()
          local ok, value = pcall(halo.await, task)
          if ok then v = value end
          err = not ok
        else
          v = channel:receive()
        end
        if v then take(v) elseif not err then return end
        if random(5) == 1 then halo.sleep(short()) end
      end
    end)
  end
  for _, task in ipairs(tasks) do halo.await(task) end
  for v in pairs(sent) do assert(got[v], "a value is lost") end
  for v in pairs(got) do assert(sent[v], "a value that was not sent") end
end

halo.await(halo.spawn(function()
  for _ = 1, 4 do
    play(random(0, 3))
  end
end))
assert(#halo.resources() == 0, "something is open")
print("ok")
