-- What tasks meet at: channels, semaphores, mutexes, events, conditions.
-- That each wait can be cancelled and time out is task_spec's business; here
-- it is what a waiter leaves behind then: nothing.
local halo = require("halo")
local promise = require("halo.promise")
local sync = require("halo.sync")

local function all(tasks)
  return halo.await(promise.all(tasks))
end

-- Lets the others come to their waits.
local function turn()
  for _ = 1, 3 do
    halo.yield()
  end
end

local function cancel(t)
  t:cancel()
  local ok, err = pcall(halo.await, t)
  assert.is_false(ok)
  assert.is_true(halo.is_error(err, "ECANCELED"), tostring(err))
end

local function epipe(ok, err)
  assert.is_nil(ok)
  assert.is_true(halo.is_error(err, "EPIPE"), tostring(err))
end

describe("a channel", function()
  it("passes values in their order", function()
    local ch = sync.channel(0)
    local got = {}
    local t = halo.spawn(function()
      for _ = 1, 5 do
        got[#got + 1] = ch:receive()
      end
    end)
    for i = 1, 5 do
      assert.is_true(ch:send(i))
    end
    halo.await(t)
    assert.same({ 1, 2, 3, 4, 5 }, got)
  end)

  it("takes any value but nil", function()
    local ch = sync.channel(10)
    local t = {}
    for _, v in ipairs({ 1, "x", true, t, print }) do
      ch:send(v)
      assert.equal(v, ch:receive())
    end
    ch:send(false)
    assert.is_false(ch:receive())
    local ok, err = pcall(function()
      ch:send(nil)
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("sync_spec.lua:%d+: bad argument #1 to 'send'"), err)
    assert.has_error(function()
      ch:try_send(nil)
    end)
  end)

  it("without capacity: send waits for its receiver", function()
    local ch = sync.channel(0)
    local sent = false
    local t = halo.spawn(function()
      ch:send(1)
      sent = true
    end)
    turn()
    assert.is_false(sent)
    assert.equal(0, ch:len())
    assert.equal(1, ch:receive())
    halo.await(t)
    assert.is_true(sent)
  end)

  it("of no argument has no capacity", function()
    assert.is_false(sync.channel():try_send(1))
  end)

  it("with capacity: send waits when it is full", function()
    local ch = sync.channel(2)
    local sent = 0
    local t = halo.spawn(function()
      for i = 1, 4 do
        ch:send(i)
        sent = i
      end
    end)
    turn()
    assert.equal(2, sent)
    assert.equal(2, ch:len())
    assert.equal(1, ch:receive())
    turn()
    assert.equal(3, sent)
    assert.equal(2, ch:len())
    assert.equal(2, ch:receive())
    assert.equal(3, ch:receive())
    assert.equal(4, ch:receive())
    halo.await(t)
    assert.equal(0, ch:len())
  end)

  it("receive waits for a value", function()
    local ch = sync.channel(1)
    local t = halo.spawn(ch.receive, ch)
    turn()
    assert.equal("pending", t:status())
    ch:send("x")
    assert.equal("x", halo.await(t))
  end)

  it("receivers and senders are served first come, first served", function()
    local ch = sync.channel(0)
    local tasks, order = {}, {}
    for i = 1, 4 do
      tasks[i] = halo.spawn(function()
        local v = ch:receive()
        order[#order + 1] = i .. v
      end)
    end
    turn()
    for _, v in ipairs({ "a", "b", "c", "d" }) do
      ch:send(v)
    end
    all(tasks)
    assert.same({ "1a", "2b", "3c", "4d" }, order)
    for i = 1, 4 do
      tasks[i] = halo.spawn(ch.send, ch, i)
    end
    turn()
    for i = 1, 4 do
      assert.equal(i, ch:receive())
    end
    all(tasks)
  end)

  it("a sender does not overtake those that wait", function()
    local ch = sync.channel(1)
    ch:send(1)
    local t = halo.spawn(ch.send, ch, 2)
    turn()
    assert.is_false(ch:try_send(3))
    assert.equal(1, ch:receive())
    assert.is_false(ch:try_send(3))
    assert.equal(2, ch:receive())
    assert.is_true(ch:try_send(3))
    halo.await(t)
  end)

  it("try_send and try_receive never wait", function()
    local ch = sync.channel(1)
    assert.is_nil(ch:try_receive())
    assert.is_true(ch:try_send(1))
    assert.is_false(ch:try_send(2))
    assert.equal(1, ch:try_receive())
    assert.is_nil(ch:try_receive())
    local t = halo.spawn(ch.receive, ch)
    turn()
    assert.is_true(ch:try_send("to a receiver"))
    assert.equal("to a receiver", halo.await(t))
    local rendezvous = sync.channel(0)
    t = halo.spawn(rendezvous.send, rendezvous, "from a sender")
    turn()
    assert.equal("from a sender", rendezvous:try_receive())
    assert.is_true(halo.await(t))
  end)

  it("closed: what it holds is received, then nil", function()
    local ch = sync.channel(3)
    ch:send(1)
    ch:send(2)
    ch:close()
    ch:close()
    assert.equal(2, ch:len())
    assert.equal(1, ch:receive())
    assert.equal(2, ch:try_receive())
    assert.is_nil(ch:receive())
    assert.is_nil(ch:try_receive())
    assert.is_nil(ch:receive())
  end)

  it("closed: send is nil, err EPIPE", function()
    local ch = sync.channel(3)
    ch:close()
    epipe(ch:send(1))
    assert.is_falsy((ch:try_send(1)))
  end)

  it("close wakes those that wait", function()
    local ch = sync.channel(0)
    local receiver = halo.spawn(function()
      return select("#", ch:receive()), (ch:receive())
    end)
    turn()
    ch:close()
    local n, v = halo.await(receiver)
    assert.is_true(n <= 1)
    assert.is_nil(v)
    ch = sync.channel(1)
    ch:send(1)
    local sender = halo.spawn(ch.send, ch, 2)
    turn()
    ch:close()
    epipe(halo.await(sender))
    assert.equal(1, ch:receive())
    assert.is_nil(ch:receive())
  end)

  it("iter goes on to its end", function()
    local ch = sync.channel(2)
    local t = halo.spawn(function()
      local list = {}
      for v in ch:iter() do
        list[#list + 1] = v
        halo.yield()
      end
      return list
    end)
    for i = 1, 5 do
      ch:send(i)
    end
    ch:close()
    assert.same({ 1, 2, 3, 4, 5 }, halo.await(t))
  end)

  it("iter left by break leaves the rest, and the channel open", function()
    local ch = sync.channel(5)
    for i = 1, 3 do
      ch:send(i)
    end
    for v in ch:iter() do
      assert.equal(1, v)
      break
    end
    assert.equal(2, ch:len())
    assert.is_true(ch:try_send(4))
  end)

  it("many producers, many consumers", function()
    local ch = sync.channel(3)
    local producers, consumers, sum, count = {}, {}, 0, 0
    for p = 1, 10 do
      producers[p] = halo.spawn(function()
        for i = 1, 50 do
          ch:send(i)
          if i % p == 0 then
            halo.yield()
          end
        end
      end)
    end
    for c = 1, 7 do
      consumers[c] = halo.spawn(function()
        for v in ch:iter() do
          sum = sum + v
          count = count + 1
          if count % c == 0 then
            halo.yield()
          end
        end
      end)
    end
    all(producers)
    ch:close()
    all(consumers)
    assert.equal(500, count)
    assert.equal(10 * 1275, sum)
  end)

  it("a receiver that is cancelled leaves no trace", function()
    local ch = sync.channel(0)
    local first = halo.spawn(ch.receive, ch)
    local second = halo.spawn(ch.receive, ch)
    turn()
    cancel(first)
    assert.is_true(ch:try_send("x"))
    assert.equal("x", halo.await(second))
    assert.is_false(ch:try_send("y"))
  end)

  it("a sender that is cancelled takes its value with it", function()
    local ch = sync.channel(0)
    local first = halo.spawn(ch.send, ch, 1)
    local second = halo.spawn(ch.send, ch, 2)
    turn()
    cancel(first)
    assert.equal(2, ch:receive())
    halo.await(second)
    assert.is_nil(ch:try_receive())
  end)

  it("a receiver or sender whose time is up leaves no trace", function()
    local ch = sync.channel(1)
    local v, err = halo.timeout(0.002, ch.receive, ch)
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(ch:try_send(1))
    assert.is_false(ch:try_send(2))
    v, err = halo.timeout(0.002, ch.send, ch, 3)
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(1, ch:receive())
    assert.is_nil(ch:try_receive())
  end)

  it("a value is not lost on a receiver that is cancelled with it in hand", function()
    local ch = sync.channel(0)
    local got
    local t = halo.spawn(function()
      got = ch:receive()
    end)
    turn()
    ch:send("x")
    t:cancel()
    pcall(halo.await, t)
    assert.equal("x", got or ch:try_receive())
  end)

  it("bad capacities raise", function()
    for _, n in ipairs({ -1, 1.5, "many", {} }) do
      local ok, err = pcall(function()
        sync.channel(n)
      end)
      assert.is_false(ok)
      assert.is_truthy(err:find("sync_spec.lua:%d+: bad argument #1 to 'channel'"), err)
    end
  end)
end)

describe("a semaphore", function()
  it("lets so many in at a time", function()
    local s = sync.semaphore(3)
    local inside, most, tasks = 0, 0, {}
    for i = 1, 12 do
      tasks[i] = halo.spawn(function()
        s:acquire()
        inside = inside + 1
        most = math.max(most, inside)
        halo.yield()
        inside = inside - 1
        s:release()
      end)
    end
    all(tasks)
    assert.equal(3, most)
    assert.equal(0, inside)
  end)

  it("of several permits at once", function()
    local s = sync.semaphore(3)
    s:acquire(2)
    assert.is_false(s:try_acquire(2))
    assert.is_true(s:try_acquire(1))
    assert.is_false(s:try_acquire())
    s:release(3)
    assert.is_true(s:try_acquire(3))
    s:release()
    s:release(2)
  end)

  it("is fair: a small request does not overtake a large one", function()
    local s = sync.semaphore(2)
    s:acquire(2)
    local order = {}
    local large = halo.spawn(function()
      s:acquire(2)
      order[#order + 1] = "large"
      s:release(2)
    end)
    local small = halo.spawn(function()
      s:acquire(1)
      order[#order + 1] = "small"
      s:release(1)
    end)
    turn()
    s:release(1)
    turn()
    assert.same({}, order)
    assert.is_false(s:try_acquire(1))
    s:release(1)
    all({ large, small })
    assert.same({ "large", "small" }, order)
  end)

  it("serves first come, first served", function()
    local s = sync.semaphore(0)
    local order, tasks = {}, {}
    for i = 1, 5 do
      tasks[i] = halo.spawn(function()
        s:acquire()
        order[#order + 1] = i
      end)
    end
    turn()
    s:release(5)
    all(tasks)
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("a waiter that is cancelled leaves no trace", function()
    local s = sync.semaphore(0)
    local a = halo.spawn(s.acquire, s)
    local b = halo.spawn(s.acquire, s)
    turn()
    cancel(a)
    s:release()
    halo.await(b)
    assert.is_false(s:try_acquire())
    s:release()
    assert.is_true(s:try_acquire())
  end)

  it("a large waiter that is cancelled lets those behind it in", function()
    local s = sync.semaphore(1)
    local large = halo.spawn(s.acquire, s, 2)
    local small = halo.spawn(s.acquire, s, 1)
    turn()
    assert.equal("pending", small:status())
    cancel(large)
    turn()
    assert.equal("fulfilled", small:status())
  end)

  it("a waiter whose time is up leaves no trace", function()
    local s = sync.semaphore(0)
    local ok, err = halo.timeout(0.002, s.acquire, s)
    assert.is_nil(ok)
    assert.equal("ETIMEDOUT", err.code)
    s:release()
    assert.is_true(s:try_acquire())
    assert.is_false(s:try_acquire())
  end)

  it("a permit given to a waiter that is cancelled at once is not lost", function()
    local s = sync.semaphore(0)
    local held = false
    local t = halo.spawn(function()
      s:acquire()
      held = true
    end)
    turn()
    s:release()
    t:cancel()
    pcall(halo.await, t)
    assert.is_true(held or s:try_acquire())
  end)

  it("bad numbers raise", function()
    assert.has_error(function()
      sync.semaphore(-1)
    end)
    assert.has_error(function()
      sync.semaphore()
    end)
    local s = sync.semaphore(1)
    for _, n in ipairs({ 0, -1, 1.5, "x" }) do
      local ok, err = pcall(function()
        s:acquire(n)
      end)
      assert.is_false(ok)
      assert.is_truthy(err:find("sync_spec.lua:%d+: bad argument #1 to 'acquire'"), err)
      assert.has_error(function()
        s:release(n)
      end)
      assert.has_error(function()
        s:try_acquire(n)
      end)
    end
    assert.is_true(s:try_acquire())
  end)
end)

describe("a mutex", function()
  it("lets one in at a time, until its guard is closed", function()
    local m = sync.mutex()
    local inside, tasks, order = 0, {}, {}
    for i = 1, 5 do
      tasks[i] = halo.spawn(function()
        local guard <close> = m:lock()
        inside = inside + 1
        assert(inside == 1)
        halo.yield()
        order[#order + 1] = i
        inside = inside - 1
      end)
    end
    all(tasks)
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("is unlocked when an error leaves the block", function()
    local m = sync.mutex()
    pcall(function()
      local guard <close> = m:lock()
      error("x")
    end)
    local r = halo.timeout(1, function()
      local guard <close> = m:lock()
      return "locked"
    end)
    assert.equal("locked", r)
  end)

  it("is unlocked when a cancel leaves the block", function()
    local m = sync.mutex()
    local t = halo.spawn(function()
      local guard <close> = m:lock()
      halo.sleep(60)
    end)
    turn()
    local u = halo.spawn(function()
      local guard <close> = m:lock()
      return "mine"
    end)
    turn()
    assert.equal("pending", u:status())
    cancel(t)
    assert.equal("mine", halo.await(u))
  end)

  it("a waiter that is cancelled or whose time is up leaves no trace", function()
    local m = sync.mutex()
    local order = {}
    local first = halo.spawn(function()
      local guard <close> = m:lock()
      halo.sleep(0.01)
      order[#order + 1] = "first"
    end)
    turn()
    local second = halo.spawn(m.lock, m)
    local third = halo.spawn(function()
      local guard <close> = m:lock()
      order[#order + 1] = "third"
    end)
    turn()
    local guard, err = halo.timeout(0.001, m.lock, m)
    assert.is_nil(guard)
    assert.equal("ETIMEDOUT", err.code)
    cancel(second)
    all({ first, third })
    assert.same({ "first", "third" }, order)
    local r = halo.timeout(1, function()
      local cleanup <close> = m:lock()
      return true
    end)
    assert.is_true(r)
  end)

  it("given to a waiter that is cancelled at once is not locked for ever", function()
    local m = sync.mutex()
    local guard = m:lock()
    local t = halo.spawn(function()
      local cleanup <close> = m:lock()
      halo.sleep(60)
    end)
    turn()
    getmetatable(guard).__close(guard)
    t:cancel()
    pcall(halo.await, t)
    local r = halo.timeout(1, function()
      local cleanup <close> = m:lock()
      return true
    end)
    assert.is_true(r)
  end)

  it("a guard that is closed twice unlocks once", function()
    local m = sync.mutex()
    local guard = m:lock()
    getmetatable(guard).__close(guard)
    local cleanup <close> = m:lock()
    getmetatable(guard).__close(guard)
    local r, err = halo.timeout(0.002, m.lock, m)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
  end)
end)

describe("an event", function()
  it("lets all go on once it is set", function()
    local e = sync.event()
    assert.is_false(e:is_set())
    local tasks, order = {}, {}
    for i = 1, 4 do
      tasks[i] = halo.spawn(function()
        e:wait()
        order[#order + 1] = i
      end)
    end
    turn()
    assert.same({}, order)
    e:set()
    assert.is_true(e:is_set())
    all(tasks)
    assert.same({ 1, 2, 3, 4 }, order)
    e:wait()
    e:set()
  end)

  it("is closed again by clear", function()
    local e = sync.event()
    e:set()
    e:clear()
    assert.is_false(e:is_set())
    local t = halo.spawn(e.wait, e)
    turn()
    assert.equal("pending", t:status())
    e:set()
    halo.await(t)
  end)

  it("set and clear at once still wake those that waited", function()
    local e = sync.event()
    local t = halo.spawn(e.wait, e)
    turn()
    e:set()
    e:clear()
    assert.is_truthy(halo.timeout(1, function()
      halo.await(t)
      return true
    end))
  end)

  it("a waiter that is cancelled or whose time is up leaves no trace", function()
    local e = sync.event()
    local a, b = halo.spawn(e.wait, e), halo.spawn(e.wait, e)
    turn()
    cancel(a)
    local ok, err = halo.timeout(0.002, e.wait, e)
    assert.is_nil(ok)
    assert.equal("ETIMEDOUT", err.code)
    e:set()
    halo.await(b)
  end)
end)

describe("a condition", function()
  it("unlocks its mutex while it waits, and locks it again", function()
    local m, c = sync.mutex(), sync.condition()
    local ready, log = false, {}
    local t = halo.spawn(function()
      local guard <close> = m:lock()
      while not ready do
        c:wait(m)
      end
      log[#log + 1] = "woken"
      halo.yield()
      log[#log + 1] = "still locked"
    end)
    turn()
    local u = halo.spawn(function()
      local guard <close> = m:lock()
      ready = true
      c:notify()
      halo.yield()
      log[#log + 1] = "notified"
    end)
    all({ t, u })
    assert.same({ "notified", "woken", "still locked" }, log)
  end)

  it("notify wakes one, the first; notify_all all", function()
    local m, c = sync.mutex(), sync.condition()
    local order, tasks = {}, {}
    for i = 1, 4 do
      tasks[i] = halo.spawn(function()
        local guard <close> = m:lock()
        c:wait(m)
        order[#order + 1] = i
      end)
    end
    turn()
    c:notify()
    turn()
    assert.same({ 1 }, order)
    c:notify_all()
    all(tasks)
    assert.same({ 1, 2, 3, 4 }, order)
    c:notify()
    c:notify_all()
  end)

  it("a notify that nobody waits for is not kept", function()
    local m, c = sync.mutex(), sync.condition()
    c:notify()
    local t = halo.spawn(function()
      local guard <close> = m:lock()
      c:wait(m)
    end)
    turn()
    assert.equal("pending", t:status())
    cancel(t)
  end)

  it("a waiter that is cancelled holds the mutex as it leaves, and leaves no trace", function()
    local m, c = sync.mutex(), sync.condition()
    local log = {}
    local t = halo.spawn(function()
      local guard <close> = m:lock()
      local cleanup <close> = setmetatable({}, {
        __close = function()
          log[1] = halo.shield(halo.timeout, 0.001, m.lock, m) == nil and "locked" or "not locked"
        end,
      })
      c:wait(m)
    end)
    local u = halo.spawn(function()
      local guard <close> = m:lock()
      c:wait(m)
      return "woken"
    end)
    turn()
    t:cancel()
    pcall(halo.await, t)
    c:notify()
    assert.equal("woken", halo.await(u))
    assert.same({ "locked" }, log)
    local guard <close> = m:lock()
  end)

  it("a waiter whose time is up holds the mutex, too", function()
    local m, c = sync.mutex(), sync.condition()
    local held
    halo.await(halo.spawn(function()
      local guard <close> = m:lock()
      local ok, err = halo.timeout(0.002, c.wait, c, m)
      assert(ok == nil and err.code == "ETIMEDOUT")
      held = halo.timeout(0.002, m.lock, m) == nil
    end))
    assert.is_true(held)
    local guard <close> = m:lock()
  end)

  it("a wait without the lock raises", function()
    local m, c = sync.mutex(), sync.condition()
    assert.has_error(function()
      c:wait(m)
    end)
    assert.has_error(function()
      c:wait()
    end)
    assert.has_error(function()
      c:wait({})
    end)
  end)
end)
