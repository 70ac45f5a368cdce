-- Tasks: their life, cancellation, time limits, shields, scopes; what is said
-- of errors that nobody handles.
local halo = require("halo")
local promise = require("halo.promise")
local timers = require("halo.timers")
local events = require("halo.events")
local sync = require("halo.sync")
local support = require("spec.support")

local function closing(fn)
  return setmetatable({}, { __close = fn })
end

-- Runs fn in a task; gives what pcall would.
local function outcome(fn, ...)
  return pcall(halo.await, halo.spawn(fn, ...))
end

local function assert_canceled(ok, err)
  assert.is_false(ok)
  assert.is_true(halo.is_error(err, "ECANCELED"), tostring(err))
end

-- What is open, as a text that compares.
local function open()
  collectgarbage()
  collectgarbage()
  local list = {}
  for _, r in ipairs(halo.resources()) do
    list[#list + 1] = r.kind .. " " .. r.detail
  end
  table.sort(list)
  return table.concat(list, "\n")
end

describe("halo.spawn", function()
  it("gives a Task, which is a promise", function()
    local t = halo.spawn(function() end)
    assert.is_true(promise.is_promise(t))
    assert.equal("pending", t:status())
    halo.await(t)
    assert.equal("fulfilled", t:status())
    for _, name in ipairs({ "next", "catch", "finally", "await", "status", "cancel", "id", "name", "traceback" }) do
      assert.equal("function", type(t[name]), name)
    end
  end)

  it("never runs the body inline", function()
    local ran = false
    local t = halo.spawn(function()
      ran = true
    end)
    assert.is_false(ran)
    halo.await(t)
    assert.is_true(ran)
  end)

  it("passes arguments and results, nils too", function()
    assert.same(
      { n = 4, nil, 2, nil, 3 },
      table.pack(halo.await(halo.spawn(function(...)
        local a, b, c = ...
        return a, b, c, select("#", ...)
      end, nil, 2, nil)))
    )
  end)

  it("gives nil, err as it was returned", function()
    local t = halo.spawn(function()
      return nil, "err"
    end)
    assert.same({ n = 2, nil, "err" }, table.pack(halo.await(t)))
    assert.equal("fulfilled", t:status())
  end)

  it("takes callable tables and C functions", function()
    assert.equal(3, halo.await(halo.spawn(math.max, 1, 3, 2)))
    assert.equal(
      "x",
      halo.await(halo.spawn(
        setmetatable({}, {
          __call = function(_, v)
            return v
          end,
        }),
        "x"
      ))
    )
    halo.await(halo.spawn(halo.sleep, 0.001))
  end)

  it("raises at the caller's line for what cannot be called", function()
    for _, v in ipairs({ 5, "x", {}, false }) do
      local ok, err = pcall(function()
        halo.spawn(v)
      end)
      assert.is_false(ok)
      assert.is_truthy(err:find("task_spec.lua:%d+: bad argument #1 to 'spawn'"), err)
    end
    assert.has_error(function()
      halo.spawn()
    end)
  end)

  it("errors arrive as they were raised", function()
    local reason = {}
    local ok, err = outcome(error, reason)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.same({ false, "text" }, { outcome(error, "text", 0) })
    ok, err = outcome(error, nil)
    assert.is_false(ok)
    assert.is_nil(err)
    ok, err = outcome(function()
      error("with position")
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("^spec/task_spec.lua:%d+: with position$"), err)
  end)

  it("many at a time", function()
    local sum, list = 0, {}
    for i = 1, 2000 do
      list[i] = halo.spawn(function()
        halo.yield()
        sum = sum + i
        return i
      end)
    end
    local r = halo.await(promise.all(list))
    assert.equal(2001000, sum)
    assert.equal(2000, r[2000])
  end)

  it("tasks in tasks, deep", function()
    local function down(n)
      if n == 0 then
        return 0
      end
      return 1 + halo.await(halo.spawn(down, n - 1))
    end
    assert.equal(300, down(300))
  end)

  it("a stack overflow is an error like others", function()
    local function f()
      return 1 + f()
    end
    local ok, err = outcome(f)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("stack overflow", 1, true))
  end)
end)

describe("a Task", function()
  it("is halo.current() in its body, and everywhere it calls", function()
    local t
    t = halo.spawn(function()
      local list = { halo.current() }
      pcall(function()
        list[2] = halo.current()
      end)
      halo.sleep(0.001)
      list[3] = halo.current()
      return list
    end)
    local list = halo.await(t)
    for i = 1, 3 do
      assert.is_true(rawequal(t, list[i]))
    end
  end)

  it("has an id of its own", function()
    local a, b = halo.spawn(function() end), halo.spawn(function() end)
    assert.equal("integer", math.type(a:id()))
    assert.not_equal(a:id(), b:id())
    local id = a:id()
    halo.await(a)
    halo.await(b)
    assert.equal(id, a:id())
  end)

  it("has a name that can be set", function()
    local t = halo.spawn(function()
      halo.sleep(0.001)
      return halo.current():name()
    end)
    assert.is_nil(t:name())
    t:name("worker")
    assert.equal("worker", t:name())
    assert.equal("worker", halo.await(t))
    assert.equal("worker", t:name())
  end)

  it("shows where it waits", function()
    local function waits_here()
      halo.sleep(60)
    end
    local t = halo.spawn(function()
      waits_here()
    end)
    halo.sleep(0.001)
    local trace = t:traceback()
    assert.is_truthy(trace:find("stack traceback:", 1, true), trace)
    assert.is_truthy(trace:find("waits_here", 1, true), trace)
    assert.is_truthy(trace:find("spawned at spec/task_spec.lua:%d+"), trace)
    t:cancel()
    pcall(halo.await, t)
  end)

  it("shows where it failed, once it has", function()
    local function fails_here()
      error("reason")
    end
    local t = halo.spawn(function()
      halo.sleep(0.001)
      fails_here()
    end)
    pcall(halo.await, t)
    local trace = t:traceback()
    assert.is_truthy(trace:find("fails_here", 1, true), trace)
    assert.is_truthy(trace:find("spawned at spec/task_spec.lua:%d+"), trace)
  end)

  it("shows where it runs", function()
    local trace = halo.await(halo.spawn(function()
      return halo.current():traceback()
    end))
    assert.is_truthy(trace:find("task_spec.lua", 1, true), trace)
  end)

  it("tells tostring its state", function()
    local t = halo.spawn(function() end)
    assert.is_truthy(tostring(t):find("^Task"))
    halo.await(t)
  end)

  it("that ends leaves nothing open", function()
    local before = open()
    halo.await(halo.spawn(halo.sleep, 0.001))
    outcome(error, "x")
    assert.equal(before, open())
  end)
end)

describe("callbacks run in tasks:", function()
  local function check(start)
    local got, resolve = promise.with_resolvers()
    start(function(...)
      local task = halo.current()
      halo.sleep(0.001)
      resolve(task ~= nil and rawequal(task, halo.current()), ...)
    end)
    return halo.await(got)
  end

  it("ticks", function()
    assert.same(
      { true, 1, 2 },
      { check(function(f)
        halo.next_tick(f, 1, 2)
      end) }
    )
  end)

  it("microtasks", function()
    assert.same(
      { true, 1, 2 },
      { check(function(f)
        halo.queue_microtask(f, 1, 2)
      end) }
    )
  end)

  it("timers and immediates", function()
    assert.same(
      { true, 1 },
      { check(function(f)
        timers.set_timeout(f, 0.001, 1)
      end) }
    )
    assert.same(
      { true, 1 },
      { check(function(f)
        timers.set_immediate(f, 1)
      end) }
    )
    local timer
    assert.same(
      { true, 1 },
      { check(function(f)
        timer = timers.set_interval(f, 0.001, 1)
      end) }
    )
    timer:clear()
    halo.sleep(0.005)
  end)

  it("promise reactions", function()
    assert.same(
      { true, 1 },
      { check(function(f)
        promise.resolve(1):next(f)
      end) }
    )
    assert.same(
      { true, 1 },
      { check(function(f)
        promise.reject(1):catch(f)
      end) }
    )
  end)

  it("misuse of what takes one raises", function()
    local ok, err = pcall(function()
      halo.next_tick(5)
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("task_spec.lua:%d+: bad argument #1 to 'next_tick'"), err)
    ok, err = pcall(function()
      halo.queue_microtask()
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("task_spec.lua:%d+: bad argument #1 to 'queue_microtask'"), err)
  end)
end)

describe("cancel", function()
  it("raises ECANCELED in the wait under way", function()
    local where
    local t = halo.spawn(function()
      local ok, err = pcall(halo.sleep, 60)
      where = { ok, err }
      error(err, 0)
    end)
    halo.sleep(0.001)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert_canceled(where[1], where[2])
    assert.equal("rejected", t:status())
  end)

  it("and in every later wait, until the task ends", function()
    local list = {}
    local t = halo.spawn(function()
      for i = 1, 5 do
        list[i] = { pcall(halo.sleep, 60) }
      end
      list[6] = { pcall(halo.yield) }
      list[7] = { pcall(halo.await, promise.resolve(1)) }
      list[8] = { pcall(halo.await, promise.new(function() end)) }
      return "ended by itself"
    end)
    halo.sleep(0.001)
    t:cancel()
    assert.equal("ended by itself", halo.await(t))
    assert.equal(8, #list)
    for i = 1, 8 do
      assert_canceled(list[i][1], list[i][2])
    end
  end)

  it("of a task that has not begun: it never does", function()
    local ran = false
    local t = halo.spawn(function()
      ran = true
    end)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert.is_false(ran)
  end)

  it("of the running task: at its next wait", function()
    local reached
    assert_canceled(outcome(function()
      halo.current():cancel()
      reached = true
      halo.sleep(60)
      reached = "too far"
    end))
    assert.is_true(reached)
  end)

  it("twice, and of one that has ended, does nothing more", function()
    local t = halo.spawn(halo.sleep, 60)
    halo.sleep(0.001)
    t:cancel()
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    t:cancel()
    local u = halo.spawn(function()
      return 1
    end)
    assert.equal(1, halo.await(u))
    u:cancel()
    assert.equal(1, halo.await(u))
    assert.equal("fulfilled", u:status())
  end)

  it("tells the reason", function()
    local t = halo.spawn(halo.sleep, 60)
    halo.sleep(0.001)
    t:cancel("shutting down")
    local ok, err = pcall(halo.await, t)
    assert_canceled(ok, err)
    assert.is_truthy(tostring(err):find("shutting down", 1, true))
  end)

  it("does not stop calls that do not wait", function()
    local list = {}
    local t = halo.spawn(function()
      pcall(halo.sleep, 60)
      local p, resolve = promise.with_resolvers()
      resolve(1)
      list[1] = p:status()
      list[2] = #halo.resources() >= 0
      timers.set_timeout(function()
        list[3] = "timer"
      end, 0.001)
      halo.spawn(function()
        list[4] = "task"
      end)
      local ch = sync.channel(1)
      list[5] = ch:try_send(1)
    end)
    halo.sleep(0.001)
    t:cancel()
    halo.await(t)
    halo.sleep(0.01)
    assert.same({ "fulfilled", true, "timer", "task", true }, list)
  end)

  it("does not cancel tasks that it has spawned", function()
    local child
    local t = halo.spawn(function()
      child = halo.spawn(function()
        halo.sleep(0.005)
        return "child"
      end)
      halo.sleep(60)
    end)
    halo.sleep(0.001)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert.equal("child", halo.await(child))
  end)

  it("of a task that awaits another leaves that alone", function()
    local other = halo.spawn(function()
      halo.sleep(0.005)
      return "other"
    end)
    local t = halo.spawn(halo.await, other)
    halo.sleep(0.001)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert.equal("pending", other:status())
    assert.equal("other", halo.await(other))
  end)

  it("of an awaited task is raised where it is awaited", function()
    local t = halo.spawn(halo.sleep, 60)
    timers.set_timeout(function()
      t:cancel()
    end, 0.002)
    assert_canceled(pcall(halo.await, t))
    halo.sleep(0.001) -- and whoever awaited it is not cancelled
  end)

  it("runs <close> variables", function()
    local log = {}
    local t = halo.spawn(function()
      local guard <close> = closing(function(_, e)
        log[#log + 1] = e.code
      end)
      do
        local cleanup <close> = closing(function(_, e)
          log[#log + 1] = e.code
        end)
        halo.sleep(60)
      end
    end)
    halo.sleep(0.001)
    t:cancel()
    pcall(halo.await, t)
    assert.same({ "ECANCELED", "ECANCELED" }, log)
  end)

  it("that the task answers with another error is a failure", function()
    local t = halo.spawn(function()
      pcall(halo.sleep, 60)
      error("other", 0)
    end)
    halo.sleep(0.001)
    t:cancel()
    assert.same({ false, "other" }, { pcall(halo.await, t) })
  end)

  it("of a settled wait loses no value", function()
    local ch = sync.channel(0)
    local got
    local t = halo.spawn(function()
      got = ch:receive()
      halo.sleep(60)
    end)
    halo.yield()
    assert.is_true(ch:try_send("value"))
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert.equal("value", got)
  end)
end)

describe("halo.shield", function()
  it("lets fn run to its end though the task is cancelled", function()
    local log = {}
    local t = halo.spawn(function()
      local r = table.pack(halo.shield(function(...)
        log[#log + 1] = "begin"
        halo.sleep(0.005)
        halo.yield()
        halo.await(halo.spawn(halo.sleep, 0.001))
        log[#log + 1] = "end"
        return ...
      end, 1, nil, 3))
      log[#log + 1] = r.n
      halo.sleep(60)
      log[#log + 1] = "too far"
    end)
    halo.sleep(0.001)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert.same({ "begin", "end", 3 }, log)
  end)

  it("gives results and raises errors", function()
    assert.same(
      { n = 3, 1, nil, 3 },
      table.pack(halo.shield(function(...)
        return ...
      end, 1, nil, 3))
    )
    local reason = {}
    local ok, err = pcall(halo.shield, error, reason)
    assert.is_false(ok)
    assert.equal(reason, err)
  end)

  it("works in a task that is cancelled already", function()
    local slept = false
    local t = halo.spawn(function()
      pcall(halo.sleep, 60)
      halo.shield(function()
        halo.sleep(0.001)
        slept = true
      end)
    end)
    halo.sleep(0.001)
    t:cancel()
    halo.await(t)
    assert.is_true(slept)
  end)

  it("keeps a time limit inside it", function()
    local r, err = halo.shield(halo.timeout, 0.002, halo.sleep, 60)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("holds up a time limit around it", function()
    local done = false
    local r, err = halo.timeout(0.002, function()
      halo.shield(function()
        halo.sleep(0.01)
        done = true
      end)
      halo.sleep(60)
    end)
    assert.is_true(done)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("raises without a function", function()
    assert.has_error(function()
      halo.shield()
    end)
  end)
end)

describe("halo.timeout", function()
  it("gives fn's results", function()
    assert.same(
      { n = 3, 1, nil, 3 },
      table.pack(halo.timeout(1, function(...)
        halo.sleep(0.001)
        return ...
      end, 1, nil, 3))
    )
    assert.same({ n = 0 }, table.pack(halo.timeout(1, function() end)))
  end)

  it("raises fn's errors", function()
    local reason = {}
    local ok, err = pcall(halo.timeout, 1, function()
      halo.sleep(0.001)
      error(reason)
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
  end)

  it("gives nil, err when the time is up", function()
    local r = table.pack(halo.timeout(0.002, halo.sleep, 60))
    assert.equal(2, r.n)
    assert.is_nil(r[1])
    assert.is_true(halo.is_error(r[2], "ETIMEDOUT"))
  end)

  it("cancels fn, whose <close> variables run", function()
    local log = {}
    local r, err = halo.timeout(0.002, function()
      local guard <close> = closing(function(_, e)
        log[#log + 1] = e.code
        halo.shield(halo.sleep, 0.001)
        log[#log + 1] = "closed"
      end)
      log[#log + 1] = select(2, pcall(halo.sleep, 60)).code
      log[#log + 1] = select(2, pcall(halo.sleep, 60)).code
      halo.sleep(60)
      log[#log + 1] = "too far"
    end)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
    assert.same({ "ECANCELED", "ECANCELED", "ECANCELED", "closed" }, log)
  end)

  it("leaves the task as it was", function()
    assert.equal(
      "fine",
      halo.await(halo.spawn(function()
        halo.timeout(0.002, halo.sleep, 60)
        halo.sleep(0.001)
        return "fine"
      end))
    )
  end)

  it("runs fn in the same task", function()
    halo.await(halo.spawn(function()
      local task = halo.current()
      halo.timeout(1, function()
        assert(rawequal(task, halo.current()))
      end)
    end))
  end)

  it("a function that answers in spite of the cancel is believed", function()
    assert.same(
      { "late", 2 },
      { halo.timeout(0.002, function()
        pcall(halo.sleep, 60)
        return "late", 2
      end) }
    )
  end)

  it("one in another: the inner one first", function()
    local outer, inner
    outer = table.pack(halo.timeout(1, function()
      inner = table.pack(halo.timeout(0.002, halo.sleep, 60))
      halo.sleep(0.001)
      return "outer fine"
    end))
    assert.equal("ETIMEDOUT", inner[2].code)
    assert.equal("outer fine", outer[1])
  end)

  it("one in another: the outer one first", function()
    local inner
    local r, err = halo.timeout(0.002, function()
      inner = table.pack(pcall(halo.timeout, 1, halo.sleep, 60))
      halo.sleep(60)
    end)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
    assert_canceled(inner[1], inner[2])
  end)

  it("a cancel of the task passes through it", function()
    local t = halo.spawn(halo.timeout, 60, halo.sleep, 60)
    halo.sleep(0.001)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
  end)

  it("of no time at all", function()
    local r, err = halo.timeout(0, halo.sleep, 60)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("no wait", halo.timeout(0, function()
      return "no wait"
    end))
  end)

  it("times that make no sense raise", function()
    for _, seconds in ipairs({ -1, -0.001, 0 / 0, math.huge, -math.huge, 2 ^ 31 + 1, "soon", {} }) do
      local ok, err = pcall(function()
        halo.timeout(seconds, print)
      end)
      assert.is_false(ok, tostring(seconds))
      assert.is_truthy(err:find("task_spec.lua:%d+: bad argument #1 to 'timeout'"), err)
    end
    assert.has_error(function()
      halo.timeout(1)
    end)
  end)

  it("leaves no timer", function()
    local before = open()
    halo.timeout(60, function() end)
    pcall(halo.timeout, 60, error)
    halo.timeout(0.001, halo.sleep, 60)
    assert.equal(before, open())
  end)
end)

describe("halo.sleep and halo.yield", function()
  it("sleep gives nothing", function()
    assert.equal(0, select("#", halo.sleep(0.001)))
    assert.equal(0, select("#", halo.sleep(0)))
    assert.equal(0, select("#", halo.yield()))
  end)

  it("sleep sleeps at least as long as told", function()
    local before = os.time()
    halo.sleep(1.1)
    assert.is_true(os.time() > before)
  end)

  it("times that make no sense raise", function()
    for _, seconds in ipairs({ -1, 0 / 0, math.huge, 2 ^ 31 + 1, "soon", {} }) do
      local ok, err = pcall(function()
        halo.sleep(seconds)
      end)
      assert.is_false(ok, tostring(seconds))
      assert.is_truthy(err:find("task_spec.lua:%d+: bad argument #1 to 'sleep'"), err)
    end
    assert.has_error(function()
      halo.sleep()
    end)
  end)

  it("a busy task that yields lets timers and others run", function()
    local fired, other = false, 0
    timers.set_timeout(function()
      fired = true
    end, 0.002)
    halo.spawn(function()
      while not fired do
        other = other + 1
        halo.yield()
      end
    end)
    local turns = 0
    while not fired do
      turns = turns + 1
      halo.yield()
    end
    assert.is_true(turns > 0)
    assert.is_true(other > 0)
  end)
end)

describe("halo.scope", function()
  it("returns what its function returns, once all tasks have ended", function()
    local ended = 0
    local r = table.pack(halo.scope(function(scope)
      for i = 1, 3 do
        scope:spawn(function()
          halo.sleep(0.002 * i)
          ended = ended + 1
        end)
      end
      return 1, nil, 3
    end))
    assert.equal(3, ended)
    assert.same({ n = 3, 1, nil, 3 }, r)
  end)

  it("spawn gives a Task with its arguments", function()
    halo.scope(function(scope)
      local t = scope:spawn(function(...)
        halo.sleep(0.001)
        return ...
      end, 1, nil, 3)
      assert.same({ n = 3, 1, nil, 3 }, table.pack(halo.await(t)))
    end)
  end)

  it("tasks may spawn others into it", function()
    local log = {}
    halo.scope(function(scope)
      scope:spawn(function()
        halo.sleep(0.001)
        scope:spawn(function()
          halo.sleep(0.002)
          log[#log + 1] = "grandchild"
        end)
        log[#log + 1] = "child"
      end)
    end)
    assert.same({ "child", "grandchild" }, log)
  end)

  it("of no tasks, and of tasks that have ended", function()
    assert.equal(1, halo.scope(function()
      return 1
    end))
    assert.equal(
      2,
      halo.scope(function(scope)
        halo.await(scope:spawn(function() end))
        halo.sleep(0.001)
        return 2
      end)
    )
  end)

  it("the first error cancels the others and is raised", function()
    local log = {}
    local reason = {}
    local ok, err = pcall(halo.scope, function(scope)
      scope:spawn(function()
        local _, e = pcall(halo.sleep, 60)
        log[#log + 1] = e.code
        error("a later error")
      end)
      scope:spawn(function()
        halo.sleep(0.001)
        error(reason)
      end)
      scope:spawn(function()
        local guard <close> = closing(function()
          halo.shield(halo.sleep, 0.002)
          log[#log + 1] = "closed"
        end)
        halo.sleep(60)
      end)
      local _, e = pcall(halo.sleep, 60)
      log[#log + 1] = e.code
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
    table.sort(log)
    assert.same({ "ECANCELED", "ECANCELED", "closed" }, log)
  end)

  it("an error of its function cancels all and is raised", function()
    local canceled
    local reason = {}
    local ok, err = pcall(halo.scope, function(scope)
      scope:spawn(function()
        local _, e = pcall(halo.sleep, 60)
        canceled = e.code
      end)
      halo.sleep(0.001)
      error(reason)
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.equal("ECANCELED", canceled)
  end)

  it("an error that its function catches from a task is still the scope's", function()
    local reason = {}
    local ok, err = pcall(halo.scope, function(scope)
      local t = scope:spawn(error, reason)
      pcall(halo.await, t)
      return "fine"
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
  end)

  it("whose function awaits the child that fails is woken once", function()
    halo.await(halo.spawn(function()
      pcall(halo.scope, function(scope)
        pcall(halo.await, scope:spawn(error, "x", 0))
      end)
      local p, resolve = promise.with_resolvers()
      timers.set_timeout(resolve, 0.005, "value")
      assert(halo.await(p) == "value")
      halo.sleep(0.001)
    end))
  end)

  it("cancel ends all, and its children's ECANCELED is absorbed", function()
    local log = {}
    local r = table.pack(halo.scope(function(scope)
      for i = 1, 2 do
        scope:spawn(function()
          local _, e = pcall(halo.sleep, 60)
          log[i] = e.code
          error(e, 0)
        end)
      end
      halo.sleep(0.001)
      scope:cancel()
      return "after cancel"
    end))
    assert.same({ "after cancel", n = 1 }, r)
    assert.same({ "ECANCELED", "ECANCELED" }, log)
  end)

  it("cancel from a child, or from outside", function()
    halo.scope(function(scope)
      scope:spawn(function()
        halo.sleep(0.001)
        scope:cancel()
      end)
      scope:spawn(halo.sleep, 60)
    end)
    local scope
    local t = halo.spawn(halo.scope, function(s)
      scope = s
      s:spawn(halo.sleep, 60)
      s:spawn(halo.sleep, 60)
    end)
    halo.sleep(0.001)
    scope:cancel()
    halo.await(t)
  end)

  it("cancelling one of its tasks is no failure of the scope", function()
    local r = halo.scope(function(scope)
      local t = scope:spawn(halo.sleep, 60)
      halo.sleep(0.001)
      t:cancel()
      assert_canceled(pcall(halo.await, t))
      halo.sleep(0.001)
      return "fine"
    end)
    assert.equal("fine", r)
  end)

  it("a cancel of the task around it cancels all, and no task outlives it", function()
    local log = {}
    local t = halo.spawn(function()
      local guard <close> = closing(function()
        log[#log + 1] = "scope left"
      end)
      halo.scope(function(scope)
        scope:spawn(function()
          local cleanup <close> = closing(function()
            halo.shield(halo.sleep, 0.005)
            log[#log + 1] = "child ended"
          end)
          halo.sleep(60)
        end)
        halo.sleep(60)
      end)
    end)
    halo.sleep(0.001)
    t:cancel()
    assert_canceled(pcall(halo.await, t))
    assert.same({ "child ended", "scope left" }, log)
  end)

  it("a time limit around it cancels all", function()
    local ended = 0
    local r, err = halo.timeout(0.005, halo.scope, function(scope)
      for _ = 1, 3 do
        scope:spawn(function()
          local guard <close> = closing(function()
            ended = ended + 1
          end)
          halo.sleep(60)
        end)
      end
    end)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(3, ended)
  end)

  it("scopes in scopes", function()
    local reason = {}
    local outer_ended = false
    local ok, err = pcall(halo.scope, function(outer)
      outer:spawn(function()
        halo.scope(function(inner)
          inner:spawn(halo.sleep, 60)
          inner:spawn(function()
            halo.sleep(0.001)
            error(reason)
          end)
        end)
      end)
      outer:spawn(function()
        local guard <close> = closing(function()
          outer_ended = true
        end)
        halo.sleep(60)
      end)
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.is_true(outer_ended)
  end)

  it("no task can be spawned into one that has ended", function()
    local scope
    halo.scope(function(s)
      scope = s
    end)
    local ok, err = pcall(function()
      scope:spawn(print)
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("task_spec.lua:%d+"), err)
    scope:cancel()
  end)

  it("leaves nothing open", function()
    local before = open()
    halo.scope(function(scope)
      for _ = 1, 10 do
        scope:spawn(halo.sleep, 60)
      end
      halo.sleep(0.001)
      scope:cancel()
    end)
    assert.equal(before, open())
  end)

  it("raises without a function", function()
    assert.has_error(function()
      halo.scope(5)
    end)
  end)
end)

describe("every wait can be cancelled and can time out:", function()
  -- A wait that does not end by itself.
  local waits = {
    ["halo.sleep"] = function()
      halo.sleep(60)
    end,
    ["halo.await"] = function()
      halo.await(promise.new(function() end))
    end,
    ["halo.await of a task"] = function()
      halo.await(halo.spawn(halo.sleep, 0.05))
    end,
    ["promise:await"] = function()
      promise.new(function() end):await()
    end,
    ["halo.yield, again and again"] = function()
      while true do
        halo.yield()
      end
    end,
    ["halo.timeout"] = function()
      halo.timeout(60, halo.sleep, 60)
    end,
    ["halo.scope, in its function"] = function()
      halo.scope(function()
        halo.sleep(60)
      end)
    end,
    ["halo.scope, at its end"] = function()
      halo.scope(function(scope)
        scope:spawn(halo.sleep, 60)
      end)
    end,
    ["halo.shield, after it"] = function()
      halo.shield(halo.sleep, 0.005)
      halo.sleep(60)
    end,
    ["channel:send"] = function()
      sync.channel(0):send(1)
    end,
    ["channel:receive"] = function()
      sync.channel(0):receive()
    end,
    ["channel:iter"] = function()
      for _ in sync.channel(0):iter() do
      end
    end,
    ["semaphore:acquire"] = function()
      sync.semaphore(0):acquire()
    end,
    ["mutex:lock"] = function()
      local m = sync.mutex()
      local guard <close> = m:lock()
      local cleanup <close> = m:lock()
    end,
    ["event:wait"] = function()
      sync.event():wait()
    end,
    ["condition:wait"] = function()
      local m = sync.mutex()
      local guard <close> = m:lock()
      sync.condition():wait(m)
    end,
    ["events.once"] = function()
      events.once(events.new(), "x")
    end,
    ["events.iter"] = function()
      for _ in events.iter(events.new(), "x") do
      end
    end,
    ["timers.every"] = function()
      for _ in timers.every(60) do
      end
    end,
    ["timers.every, ticking"] = function()
      for _ in timers.every(0.001) do
      end
    end,
  }

  for name, wait in pairs(waits) do
    it(name .. ": cancel", function()
      local before = open()
      local t = halo.spawn(wait)
      halo.sleep(0.003)
      assert.equal("pending", t:status())
      t:cancel()
      assert_canceled(pcall(halo.await, t))
      halo.sleep(name:find("of a task") and 0.06 or 0.001)
      assert.equal(before, open())
    end)

    it(name .. ": cancelled before it waits", function()
      local before = open()
      local t = halo.spawn(function()
        halo.current():cancel()
        wait()
      end)
      assert_canceled(pcall(halo.await, t))
      halo.sleep(name:find("of a task") and 0.06 or 0.001)
      assert.equal(before, open())
    end)

    it(name .. ": time limit", function()
      local before = open()
      local r, err = halo.timeout(0.003, wait)
      assert.is_nil(r)
      assert.is_true(halo.is_error(err, "ETIMEDOUT"))
      halo.sleep(name:find("of a task") and 0.06 or 0.001)
      assert.equal(before, open())
    end)
  end
end)

describe("halo.resources", function()
  it("lists what is open", function()
    local before = #halo.resources()
    local t = halo.spawn(halo.sleep, 60)
    local timer = timers.set_timeout(print, 60)
    halo.sleep(0.002)
    local list = halo.resources()
    assert.equal(before + 2, #list)
    for _, r in ipairs(list) do
      assert.equal("string", type(r.kind))
      assert.equal("string", type(r.detail))
      assert.equal("number", type(r.created_at))
      assert.equal("number", type(r.age))
      assert.is_true(r.age >= 0 and r.created_at >= 0)
    end
    t:cancel()
    pcall(halo.await, t)
    timer:clear()
    assert.equal(before, #halo.resources())
  end)
end)

describe("halo.Error", function()
  it("is_error tells it, and its code", function()
    local err = halo.Error({ code = "ENOENT", message = "gone" })
    assert.is_true(halo.is_error(err))
    assert.is_true(halo.is_error(err, "ENOENT"))
    assert.is_false(halo.is_error(err, "EPERM"))
    for _, v in ipairs({ 5, "ENOENT", {}, { code = "ENOENT" }, print, false }) do
      assert.is_false(halo.is_error(v))
      assert.is_false(halo.is_error(v, "ENOENT"))
    end
    assert.is_false(halo.is_error(nil))
  end)

  it("prints as a sentence", function()
    local err = halo.Error({
      code = "ENOENT",
      message = "no such file or directory",
      syscall = "open",
      path = "x.txt",
    })
    assert.equal("ENOENT: no such file or directory, open 'x.txt'", tostring(err))
    assert.equal("failed: ENOENT: no such file or directory, open 'x.txt'!", "failed: " .. err .. "!")
  end)

  it("misuse raises", function()
    assert.has_error(function()
      halo.Error({ message = "no code" })
    end)
    assert.has_error(function()
      halo.Error("x")
    end)
  end)
end)

-- What the process says at its end ------------------------------------------

describe("errors that nobody handles:", function()
  local path = support.temporary()

  local function run(code)
    return support.run_script("halo", code, { name = path })
  end

  -- The line of a script on which `text` stands first.
  local function line_of(code, text)
    local n = 0
    for line in (code .. "\n"):gmatch("(.-)\n") do
      n = n + 1
      if line:find(text, 1, true) then
        return n
      end
    end
    error("no such line: " .. text)
  end

  local function count(text, what)
    local n, at = 0, 1
    while true do
      local from, to = text:find(what, at, true)
      if not from then
        return n
      end
      n, at = n + 1, to + 1
    end
  end

  it("three tasks deep: one traceback, then each spawn", function()
    local code = [[
local halo = require("halo")
local function fails()
  error("the reason") -- raised
end
local function inner()
  halo.sleep(0.001)
  fails() -- called
end
local function middle()
  halo.await(halo.spawn(inner)) -- spawns inner
end
local function outer()
  halo.await(halo.spawn(middle)) -- spawns middle
end
halo.spawn(outer) -- spawns outer
]]
    local out, err, status = run(code)
    assert.equal("", out)
    assert.equal(1, status)
    assert.equal(1, count(err, "stack traceback:"), err)
    assert.equal(1, count(err, "the reason"), err)
    assert.is_truthy(err:find(("%s:%d: the reason"):format(path, line_of(code, "-- raised")), 1, true), err)
    assert.is_truthy(err:find(("%s:%d: in"):format(path, line_of(code, "-- called")), 1, true), err)
    local last = 1
    for _, name in ipairs({ "inner", "middle", "outer" }) do
      local text = ("spawned at %s:%d"):format(path, line_of(code, "-- spawns " .. name))
      local from = err:find(text, last, true)
      assert.is_truthy(from, text .. "\n" .. err)
      assert.equal(1, count(err, text), err)
      last = from
    end
    assert.equal(3, count(err, "spawned at"), err)
    assert.is_true(err:find("stack traceback:", 1, true) < err:find("spawned at", 1, true))
  end)

  it("in the main chunk", function()
    local out, err, status = run('print("begins")\nrequire("halo").sleep(0.001)\nerror("reason")\n')
    assert.equal("begins\n", out)
    assert.equal(1, status)
    assert.is_truthy(err:find(path .. ":3: reason", 1, true), err)
    assert.equal(1, count(err, "stack traceback:"), err)
  end)

  it("in a task, a timer, an immediate, a tick, a microtask, a reaction", function()
    for _, start in ipairs({
      "halo.spawn(f)",
      "timers.set_timeout(f, 0.001)",
      "timers.set_interval(f, 0.001)",
      "timers.set_immediate(f)",
      "halo.next_tick(f)",
      "halo.queue_microtask(f)",
      "promise.resolve():next(f)",
      "promise.reject(1):catch(f)",
      "promise.resolve():finally(f)",
    }) do
      local code = [[
local halo, promise, timers = require("halo"), require("halo.promise"), require("halo.timers")
local function f() error("reason") end
timers.set_timeout(print, 60, "must not be reached")
]] .. start .. "\nhalo.sleep(60)"
      local out, err, status = run(code)
      assert.equal("", out, start)
      assert.equal(1, status, start)
      assert.is_truthy(err:find(path .. ":2: reason", 1, true), start .. "\n" .. err)
      assert.equal(1, count(err, "reason"), start .. "\n" .. err)
      assert.equal(1, count(err, "stack traceback:"), start .. "\n" .. err)
    end
  end)

  it("a rejection without a handler", function()
    local out, err, status = run([[
local promise = require("halo.promise")
promise.reject("the reason")
promise.new(function(_, reject) reject("never seen") end)
print("script")
require("halo").sleep(60)
]])
    assert.equal("script\n", out)
    assert.equal(1, status)
    assert.equal(1, count(err, "the reason"), err)
  end)

  it("a promise of a chain without a handler", function()
    local _, err, status = run([[
local promise = require("halo.promise")
local p = promise.reject("the reason")
p:catch(function() end)
p:next(print)
require("halo").sleep(60)
]])
    assert.equal(1, status)
    assert.equal(1, count(err, "the reason"), err)
  end)

  it("errors that are objects", function()
    local _, err, status = run([[
require("halo").spawn(function() error(setmetatable({}, { __tostring = function() return "an object" end })) end)
require("halo").sleep(60)
]])
    assert.equal(1, status)
    assert.is_truthy(err:find("an object", 1, true), err)
    _, err, status = run('require("halo").spawn(function() error({}) end)')
    assert.equal(1, status)
    assert.is_truthy(err:find("error object is a table value", 1, true), err)
    _, _, status = run('require("halo").spawn(function() error() end)')
    assert.equal(1, status)
  end)

  it("one handled before the drain ends says nothing", function()
    local out, err, status = run([[
local halo = require("halo")
local promise = require("halo.promise")
local p = promise.reject("a")
halo.next_tick(function() p:catch(print) end)
local q = promise.reject("b")
halo.queue_microtask(function() halo.queue_microtask(function() q:next(nil, print) end) end)
local t = halo.spawn(error, "c", 0)
print(pcall(halo.await, t))
print((select(2, halo.await(promise.all_settled({ promise.reject("d") }))) == nil))
promise.race({ promise.resolve("e"), promise.reject("f") }):next(print)
promise.any({ promise.reject("g"), promise.resolve("h") }):next(print)
]])
    assert.equal("", err)
    assert.equal(0, status)
    local lines = {}
    for line in out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({ "a", "b", "e", "false\tc", "h", "true" }, lines)
  end)

  it("a task that is awaited when it fails later says nothing", function()
    local out, err, status = run([[
local halo = require("halo")
local t = halo.spawn(function() halo.sleep(0.005) error("x", 0) end)
halo.spawn(function() print(pcall(halo.await, t)) end)
]])
    assert.equal("", err)
    assert.equal("false\tx\n", out)
    assert.equal(0, status)
  end)

  it("a task that ends by its own cancellation says nothing", function()
    local out, err, status = run([[
local halo = require("halo")
local t = halo.spawn(halo.sleep, 60)
local u = halo.spawn(print, "must not begin")
u:cancel()
halo.sleep(0.001)
t:cancel("reason")
halo.sleep(0.001)
print(t:status(), u:status())
]])
    assert.equal("", err)
    assert.equal("rejected\trejected\n", out)
    assert.equal(0, status)
  end)

  it("but one that fails otherwise while it is cancelled does", function()
    local _, err, status = run([[
local halo = require("halo")
local t = halo.spawn(function() pcall(halo.sleep, 60) error("reason") end)
halo.sleep(0.001)
t:cancel()
halo.sleep(60)
]])
    assert.equal(1, status)
    assert.is_truthy(err:find(path .. ":2: reason", 1, true), err)
  end)

  it("an error that waits to be raised again keeps its first traceback", function()
    local code = [[
local halo = require("halo")
local function fails() error("reason") end -- raised
local t = halo.spawn(function() fails() end)
halo.await(t)
]]
    local _, err, status = run(code)
    assert.equal(1, status)
    assert.equal(1, count(err, "stack traceback:"), err)
    assert.is_truthy(err:find("in upvalue 'fails'", 1, true) or err:find("in function 'fails'", 1, true)
      or err:find(path .. ":2: in ", 1, true), err)
  end)

  it("an error of a scope's child is told with its own traceback", function()
    local code = [[
local halo = require("halo")
local function fails() error("reason") end -- raised
halo.scope(function(scope)
  scope:spawn(halo.sleep, 60)
  scope:spawn(function() halo.sleep(0.001) fails() end) -- spawned
end)
]]
    local _, err, status = run(code)
    assert.equal(1, status)
    assert.equal(1, count(err, "stack traceback:"), err)
    assert.equal(1, count(err, "reason"), err)
    assert.is_truthy(err:find(("%s:%d: in"):format(path, line_of(code, "-- raised")), 1, true), err)
    assert.is_truthy(err:find(("spawned at %s:%d"):format(path, line_of(code, "-- spawned")), 1, true), err)
  end)

  it("what the event \"unhandled_rejection\" takes is not fatal", function()
    local out, err, status = run([[
local halo, promise, process = require("halo"), require("halo.promise"), require("halo.process")
process.on("unhandled_rejection", function(e, p) print("unhandled", e, p:status()) end)
promise.reject("a")
halo.spawn(error, "b", 0)
halo.sleep(0.005)
print("goes on")
]])
    assert.equal("", err)
    assert.equal("unhandled\ta\trejected\nunhandled\tb\trejected\ngoes on\n", out)
    assert.equal(0, status)
  end)

  it("output written before the end is not cut", function()
    local out, _, status = run([[
for i = 1, 20000 do io.write(i, "\n") end
error("reason")
]])
    assert.equal(1, status)
    assert.equal("20000\n", out:sub(-6))
  end)
end)

describe("the end of the command:", function()
  it("0 when all is done, also with promises that stay pending", function()
    local out, err, status = support.run_script("halo", [[
local halo = require("halo")
halo.spawn(function() halo.await(require("halo.promise").new(function() end)) print("never") end)
print("end")
]])
    assert.equal("", err)
    assert.equal("end\n", out)
    assert.equal(0, status)
  end)

  it("13 when the main chunk still waits, and says where", function()
    local path = support.temporary()
    local out, err, status = support.run_script("halo", [[
print("begins")
require("halo").await(require("halo.promise").new(function() end))
print("never")
]], { name = path })
    assert.equal("begins\n", out)
    assert.equal(13, status)
    assert.is_truthy(err:find(path .. ":2", 1, true), err)
  end)

  it("tasks and timers keep it up, unref'd timers do not", function()
    local out, err, status = support.run_script("halo", [[
local halo, timers = require("halo"), require("halo.timers")
halo.spawn(function() halo.sleep(0.01) print("task") end)
timers.set_timeout(print, 0.02, "timer")
timers.set_timeout(print, 60, "never"):unref()
print("script")
]])
    assert.equal("", err)
    assert.equal("script\ntask\ntimer\n", out)
    assert.equal(0, status)
  end)

  it("os.exit in a task", function()
    local out, err, status = support.run_script("halo", [[
local halo = require("halo")
halo.spawn(function() halo.sleep(0.001) io.write("written") os.exit(7) print("never") end)
halo.sleep(60)
]])
    assert.equal("", err)
    assert.equal("written", out)
    assert.equal(7, status)
    out, err, status = support.run_script("lua5.4", [[
local halo = require("halo")
halo.spawn(function() halo.sleep(0.001) os.exit(7, true) end)
halo.sleep(60)
]])
    assert.equal("", err)
    assert.equal("", out)
    assert.equal(7, status)
  end)
end)
