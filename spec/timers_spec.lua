-- Timers: halo.timers. The order in which they fire is order_spec's business.
local halo = require("halo")
local timers = require("halo.timers")

local function count_resources()
  return #halo.resources()
end

-- A callback that counts its calls and keeps the arguments of the last.
local function counter()
  local c = { calls = 0 }
  return c, function(...)
    c.calls = c.calls + 1
    c.args = table.pack(...)
  end
end

local bad_times = { -1, -0.001, 0 / 0, math.huge, -math.huge, 2 ^ 31 + 1, "soon", {}, true }

describe("set_timeout", function()
  it("calls fn once, with the arguments", function()
    local c, f = counter()
    timers.set_timeout(f, 0.001, 1, nil, 3)
    halo.sleep(0.02)
    assert.equal(1, c.calls)
    assert.same({ n = 3, 1, nil, 3 }, c.args)
  end)

  it("not before its time, never inline", function()
    local c, f = counter()
    timers.set_timeout(f, 0)
    assert.equal(0, c.calls)
    local late, g = counter()
    local t = timers.set_timeout(g, 60)
    halo.sleep(0.01)
    assert.equal(1, c.calls)
    assert.equal(0, late.calls)
    t:clear()
  end)

  it("gives a Timer", function()
    local t = timers.set_timeout(print, 60)
    for _, name in ipairs({ "clear", "ref", "unref", "has_ref", "refresh", "close" }) do
      assert.equal("function", type(t[name]), name)
    end
    t:clear()
  end)

  it("takes callable tables", function()
    local called
    timers.set_timeout(
      setmetatable({}, {
        __call = function(_, v)
          called = v
        end,
      }),
      0.001,
      5
    )
    halo.sleep(0.01)
    assert.equal(5, called)
  end)

  it("a timer that is dropped fires all the same", function()
    local c = { calls = 0 }
    timers.set_timeout(function()
      c.calls = c.calls + 1
    end, 0.005)
    collectgarbage()
    collectgarbage()
    halo.sleep(0.03)
    assert.equal(1, c.calls)
  end)

  it("misuse raises at the caller's line", function()
    for _, seconds in ipairs(bad_times) do
      local ok, err = pcall(function()
        timers.set_timeout(print, seconds)
      end)
      assert.is_false(ok, tostring(seconds))
      assert.is_truthy(err:find("timers_spec.lua:%d+: bad argument #2 to 'set_timeout'"), err)
    end
    for _, f in ipairs({ 5, "x", {}, false }) do
      local ok, err = pcall(function()
        timers.set_timeout(f, 1)
      end)
      assert.is_false(ok)
      assert.is_truthy(err:find("timers_spec.lua:%d+: bad argument #1 to 'set_timeout'"), err)
    end
  end)

  it("leaves nothing when it has fired", function()
    local before = count_resources()
    timers.set_timeout(function() end, 0.001)
    assert.equal(before + 1, count_resources())
    halo.sleep(0.01)
    assert.equal(before, count_resources())
  end)
end)

describe("clear", function()
  it("keeps a timer from firing, in every way to say it", function()
    local c, f = counter()
    timers.set_timeout(f, 0.002):clear()
    timers.set_timeout(f, 0.002):close()
    timers.clear(timers.set_timeout(f, 0.002))
    timers.set_interval(f, 0.002):clear()
    timers.set_immediate(f):clear()
    timers.clear(timers.set_immediate(f))
    do
      local guard <close> = timers.set_timeout(f, 0.002)
    end
    halo.sleep(0.02)
    assert.equal(0, c.calls)
  end)

  it("twice, after it has fired, and of nil is no error", function()
    local t = timers.set_timeout(function() end, 0.001)
    halo.sleep(0.01)
    t:clear()
    t:clear()
    t:close()
    timers.clear(t)
    timers.clear(nil)
  end)

  it("of something else raises", function()
    for _, v in ipairs({ 5, "x", {}, io.stdout }) do
      assert.has_error(function()
        timers.clear(v)
      end)
    end
  end)

  it("in its own callback", function()
    local calls = 0
    local t
    t = timers.set_timeout(function()
      calls = calls + 1
      t:clear()
    end, 0.001)
    local u
    u = timers.set_interval(function()
      calls = calls + 1
      u:clear()
      halo.sleep(0.001)
    end, 0.001)
    halo.sleep(0.02)
    assert.equal(2, calls)
  end)

  it("does not stop a callback that waits already", function()
    local ended = false
    local t = timers.set_timeout(function()
      halo.sleep(0.01)
      ended = true
    end, 0.001)
    halo.sleep(0.005)
    t:clear()
    halo.sleep(0.02)
    assert.is_true(ended)
  end)

  it("frees what it held", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local big = {}
      weak[1] = big
      weak[2] = timers.set_timeout(function()
        return big
      end, 60, big)
      weak[2]:clear()
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)

describe("set_interval", function()
  it("calls fn again and again, with the arguments", function()
    local c, f = counter()
    local t = timers.set_interval(f, 0.002, "a", nil)
    while c.calls < 4 do
      halo.sleep(0.001)
    end
    t:clear()
    local calls = c.calls
    assert.same({ n = 2, "a", nil }, c.args)
    halo.sleep(0.02)
    assert.equal(calls, c.calls)
  end)

  it("a callback that waits does not hold it up", function()
    local running, most = 0, 0
    local t = timers.set_interval(function()
      running = running + 1
      most = math.max(most, running)
      halo.sleep(0.05)
      running = running - 1
    end, 0.005)
    while most < 2 do
      halo.sleep(0.005)
    end
    t:clear()
    while running > 0 do
      halo.sleep(0.005)
    end
    assert.is_true(most >= 2)
  end)

  it("misuse raises at the caller's line", function()
    for _, seconds in ipairs(bad_times) do
      local ok, err = pcall(function()
        timers.set_interval(print, seconds)
      end)
      assert.is_false(ok, tostring(seconds))
      assert.is_truthy(err:find("timers_spec.lua:%d+: bad argument #2 to 'set_interval'"), err)
    end
    assert.has_error(function()
      timers.set_interval(5, 1)
    end)
  end)
end)

describe("set_immediate", function()
  it("calls fn soon, with the arguments, not inline", function()
    local c, f = counter()
    timers.set_immediate(f, 1, nil)
    assert.equal(0, c.calls)
    halo.yield()
    halo.yield()
    assert.equal(1, c.calls)
    assert.same({ n = 2, 1, nil }, c.args)
  end)

  it("misuse raises at the caller's line", function()
    local ok, err = pcall(function()
      timers.set_immediate(5)
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("timers_spec.lua:%d+: bad argument #1 to 'set_immediate'"), err)
  end)
end)

describe("refresh", function()
  it("gives the timer back", function()
    local t = timers.set_timeout(print, 60)
    assert.is_true(rawequal(t, t:refresh()))
    t:clear()
  end)

  it("lets its time begin anew", function()
    local c, f = counter()
    local t = timers.set_timeout(f, 0.2)
    local seen = 0
    for _ = 1, 5 do
      halo.sleep(0.05)
      t:refresh()
      seen = seen + c.calls
    end
    assert.equal(0, seen)
    t:clear()
  end)

  it("lets one fire again that has fired", function()
    local c, f = counter()
    local t = timers.set_timeout(f, 0.002, "x")
    halo.sleep(0.02)
    assert.equal(1, c.calls)
    t:refresh()
    halo.sleep(0.02)
    assert.equal(2, c.calls)
    assert.same({ n = 1, "x" }, c.args)
  end)

  it("in its own callback", function()
    local calls = 0
    local t
    t = timers.set_timeout(function()
      calls = calls + 1
      if calls < 3 then
        t:refresh()
      end
    end, 0.001)
    while calls < 3 do
      halo.sleep(0.002)
    end
    halo.sleep(0.01)
    assert.equal(3, calls)
  end)

  it("does not bring back one that was cleared", function()
    local c, f = counter()
    local t = timers.set_timeout(f, 0.001)
    t:clear()
    t:refresh()
    halo.sleep(0.02)
    assert.equal(0, c.calls)
  end)
end)

describe("ref and unref", function()
  it("give the timer back, and has_ref tells", function()
    local t = timers.set_timeout(print, 60)
    assert.is_true(t:has_ref())
    assert.is_true(rawequal(t, t:unref()))
    assert.is_false(t:has_ref())
    t:unref()
    assert.is_true(rawequal(t, t:ref()))
    assert.is_true(t:has_ref())
    t:clear()
  end)

  it("also of immediates and intervals", function()
    local i = timers.set_immediate(function() end)
    assert.is_true(i:has_ref())
    i:unref()
    assert.is_false(i:has_ref())
    i:clear()
    local t = timers.set_interval(print, 60)
    t:unref()
    assert.is_false(t:has_ref())
    t:clear()
  end)

  it("an unref'd one fires while the loop runs", function()
    local c, f = counter()
    timers.set_timeout(f, 0.002):unref()
    halo.sleep(0.02)
    assert.equal(1, c.calls)
  end)

  it("of one that has been cleared is no error", function()
    local t = timers.set_timeout(print, 60)
    t:clear()
    t:unref()
    t:ref()
    halo.sleep(0.001)
  end)
end)

describe("every", function()
  it("counts from 1; break ends it", function()
    local before = count_resources()
    local list = {}
    for n in timers.every(0.002) do
      list[#list + 1] = n
      if n == 4 then
        break
      end
    end
    assert.same({ 1, 2, 3, 4 }, list)
    assert.equal(before, count_resources())
  end)

  it("an error in its body ends it", function()
    local before = count_resources()
    local ok, err = pcall(function()
      for _ in timers.every(0.001) do
        error("in the body", 0)
      end
    end)
    assert.is_false(ok)
    assert.equal("in the body", err)
    assert.equal(before, count_resources())
  end)

  it("a slow body misses no count and runs one at a time", function()
    local list, inside = {}, 0
    for n in timers.every(0.001) do
      inside = inside + 1
      assert.equal(1, inside)
      halo.sleep(0.004)
      list[#list + 1] = n
      inside = inside - 1
      if n == 3 then
        break
      end
    end
    assert.same({ 1, 2, 3 }, list)
  end)

  it("two at a time do not mix", function()
    local a, b = {}, {}
    local t = halo.spawn(function()
      for n in timers.every(0.003) do
        b[n] = true
        if n == 3 then
          break
        end
      end
    end)
    for n in timers.every(0.002) do
      a[n] = true
      if n == 3 then
        break
      end
    end
    halo.await(t)
    assert.same({ true, true, true }, a)
    assert.same({ true, true, true }, b)
  end)

  it("misuse raises", function()
    for _, seconds in ipairs(bad_times) do
      assert.has_error(function()
        for _ in timers.every(seconds) do
          break
        end
      end)
    end
  end)
end)

describe("many timers", function()
  it("set and cleared", function()
    local before = count_resources()
    local list = {}
    for i = 1, 20000 do
      list[i] = timers.set_timeout(print, 60 + i % 97)
    end
    for i = 20000, 1, -1 do
      list[(i * 7919) % 20000 + 1]:clear()
    end
    assert.equal(before, count_resources())
  end)

  it("all fire, each once", function()
    local fired, sum = {}, 0
    for i = 1, 5000 do
      timers.set_timeout(function()
        fired[i] = (fired[i] or 0) + 1
        sum = sum + 1
      end, (i * 7919 % 20) / 1000)
    end
    while sum < 5000 do
      halo.sleep(0.005)
    end
    for i = 1, 5000 do
      assert(fired[i] == 1)
    end
  end)

  it("fire in the order of their times", function()
    local list = {}
    for _, ms in ipairs({ 90, 30, 60, 0, 120 }) do
      timers.set_timeout(function()
        list[#list + 1] = ms
      end, ms / 1000)
    end
    halo.sleep(0.16)
    assert.same({ 0, 30, 60, 90, 120 }, list)
  end)
end)
