-- Random sets, clears and refreshes. A timer that was set before another, for
-- no longer a time, fires before it: whatever the clock says.
local halo = require "halo"
local timers = halo.timers

math.randomseed(tonumber((...)) or 1)
local random = math.random

local order, live, left = 0, {}, 3000 -- timer's record -> true while it is set

local function span()
  local kind = random(8)
  if kind <= 3 then return random(0, 3) end
  if kind <= 6 then return random(0, 80) end
  if kind == 7 then return random(0, 300) end
  return random(1000, 100000000) -- cleared at the end
end

local function mark(record)
  order = order + 1
  record.order = order
  live[record] = true
end

local play

local function fire(record)
  assert(live[record], "fired though it was not set")
  live[record] = nil
  for other in pairs(live) do
    assert(not (other.order < record.order and other.ms <= record.ms),
      "fired before one that was due before it")
  end
  if random(3) == 1 then play(random(4)) end
  if record.repeats and live[record] == nil and not record.cleared then mark(record) end
end

local all = {}

local function set()
  local record = { ms = span() }
  record.repeats = random(10) == 1 and record.ms < 1000
  record.ms = math.max(record.ms, 1)
  mark(record)
  local how = record.repeats and timers.set_interval or timers.set_timeout
  record.timer = how(fire, record.ms / 1000, record)
  all[#all + 1] = record
end

function play(n)
  for _ = 1, n do
    if left <= 0 then return end
    left = left - 1
    local record = all[random(#all > 0 and #all or 1)]
    local kind = random(6)
    if kind <= 3 or not record then
      set()
    elseif kind <= 5 then
      record.timer:clear()
      record.cleared = true
      live[record] = nil
    elseif not record.cleared then
      record.timer:refresh()
      mark(record)
    end
  end
end

halo.await(halo.spawn(function()
  while left > 0 do
    play(random(60))
    halo.sleep(random(0, 5) / 1000)
  end
  halo.sleep(0.05)
  for _, record in ipairs(all) do
    if record.ms > 500 or record.repeats then
      record.timer:clear()
      record.cleared = true
      live[record] = nil
    end
  end
  halo.sleep(0.4)
  assert(next(live) == nil, "one has not fired")
end))
assert(#halo.resources() == 0, "something is open")
print("ok")
