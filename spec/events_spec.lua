-- Emitters: halo.events.
local halo = require("halo")
local events = require("halo.events")
local promise = require("halo.promise")

local function turn()
  for _ = 1, 3 do
    halo.yield()
  end
end

describe("an emitter", function()
  it("calls its listeners with all arguments, in the order they were added", function()
    local e = events.new()
    local log = {}
    for i = 1, 3 do
      e:on("x", function(...)
        log[#log + 1] = table.pack(i, ...)
      end)
    end
    assert.is_true(e:emit("x", "a", nil, 3, nil))
    assert.equal(3, #log)
    for i = 1, 3 do
      assert.same({ n = 5, i, "a", nil, 3, nil }, log[i])
    end
  end)

  it("calls them before emit returns", function()
    local e = events.new()
    local called = false
    e:on("x", function()
      called = true
    end)
    e:emit("x")
    assert.is_true(called)
  end)

  it("emit tells whether there were any", function()
    local e = events.new()
    assert.is_false(e:emit("x"))
    e:on("x", function() end)
    assert.is_true(e:emit("x"))
    assert.is_false(e:emit("y"))
  end)

  it("once calls for the next event only", function()
    local e = events.new()
    local calls = 0
    e:once("x", function(v)
      calls = calls + v
      e:emit("x", 100)
    end)
    assert.is_true(e:emit("x", 1))
    assert.is_false(e:emit("x", 10))
    assert.equal(1, calls)
  end)

  it("off takes a listener away, also one of once", function()
    local e = events.new()
    local log = {}
    local function a()
      log[#log + 1] = "a"
    end
    local function b()
      log[#log + 1] = "b"
    end
    e:on("x", a)
    e:on("x", b)
    e:once("x", a)
    e:off("x", b)
    e:off("y", a)
    e:off("x", print)
    e:emit("x")
    assert.same({ "a", "a" }, log)
    e:off("x", a)
    assert.is_false(e:emit("x"))
    e:once("x", b)
    e:off("x", b)
    assert.is_false(e:emit("x"))
  end)

  it("a listener added twice is called twice, and off takes one", function()
    local e = events.new()
    local calls = 0
    local function f()
      calls = calls + 1
    end
    e:on("x", f)
    e:on("x", f)
    e:emit("x")
    assert.equal(2, calls)
    e:off("x", f)
    e:emit("x")
    assert.equal(3, calls)
  end)

  it("listeners and listener_count tell what there is", function()
    local e = events.new()
    local function a() end
    local function b() end
    assert.same({}, e:listeners("x"))
    assert.equal(0, e:listener_count("x"))
    e:on("x", a)
    e:once("x", b)
    assert.same({ a, b }, e:listeners("x"))
    assert.equal(2, e:listener_count("x"))
    assert.equal(0, e:listener_count("y"))
    local list = e:listeners("x")
    list[1] = nil
    assert.equal(2, e:listener_count("x"))
    e:emit("x")
    assert.equal(1, e:listener_count("x"))
  end)

  it("names may be any value but nil", function()
    local e = events.new()
    local key, got = {}, {}
    for _, name in ipairs({ key, 1, true, print }) do
      e:on(name, function(v)
        got[#got + 1] = v
      end)
      e:emit(name, name)
    end
    assert.same({ key, 1, true, print }, got)
  end)

  it("a listener added by a listener hears the next event", function()
    local e = events.new()
    local log = {}
    e:once("x", function()
      e:on("x", function()
        log[#log + 1] = "new"
      end)
      log[#log + 1] = "old"
    end)
    e:emit("x")
    assert.same({ "old" }, log)
    e:emit("x")
    assert.same({ "old", "new" }, log)
  end)

  it("a listener taken away while an emit is under way is still called, as in Node", function()
    local e = events.new()
    local log = {}
    local function b()
      log[#log + 1] = "b"
    end
    e:on("x", function()
      e:off("x", b)
      log[#log + 1] = "a"
    end)
    e:on("x", b)
    e:emit("x")
    e:emit("x")
    assert.same({ "a", "b", "a" }, log)
  end)

  it("what a listener raises comes out of emit", function()
    local e = events.new()
    local reason = {}
    e:on("x", error)
    local ok, err = pcall(e.emit, e, "x", reason)
    assert.is_false(ok)
    assert.equal(reason, err)
  end)

  it("listeners may wait: they run in the task that emits", function()
    local e = events.new()
    local log = {}
    e:on("x", function()
      halo.sleep(0.001)
      log[#log + 1] = "waited"
    end)
    e:on("x", function()
      log[#log + 1] = "second"
    end)
    halo.await(halo.spawn(function()
      e:emit("x")
      log[#log + 1] = "emitted"
    end))
    assert.same({ "waited", "second", "emitted" }, log)
  end)

  it("an \"error\" that nobody listens for is raised", function()
    local e = events.new()
    local reason = {}
    local ok, err = pcall(e.emit, e, "error", reason)
    assert.is_false(ok)
    assert.equal(reason, err)
    ok, err = pcall(e.emit, e, "error")
    assert.is_false(ok)
    assert.not_nil(err)
    local got
    e:on("error", function(v)
      got = v
    end)
    assert.is_true(e:emit("error", reason))
    assert.equal(reason, got)
  end)

  it("can be mixed into an object of one's own", function()
    local object = { name = "mine" }
    assert.is_true(rawequal(object, events.new(object)))
    local got
    object:on("x", function(v)
      got = v
    end)
    object:emit("x", 5)
    assert.equal(5, got)
    assert.equal("mine", object.name)
  end)

  it("emitters do not share listeners", function()
    local a, b = events.new(), events.new()
    a:on("x", function() end)
    assert.is_false(b:emit("x"))
  end)

  it("is collected with its listeners", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local e = events.new()
      e:on("x", function()
        return e
      end)
      weak[e] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("on, once and off give the emitter back", function()
    local e = events.new()
    assert.is_true(rawequal(e, e:on("x", print)))
    assert.is_true(rawequal(e, e:once("x", print)))
    assert.is_true(rawequal(e, e:off("x", print)))
  end)

  it("misuse raises at the caller's line", function()
    local e = events.new()
    local ok, err = pcall(function()
      e:on("x", 5)
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("events_spec.lua:%d+: bad argument"), err)
    ok, err = pcall(function()
      e:once("x")
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find("events_spec.lua:%d+: bad argument"), err)
    assert.has_error(function()
      e:on(nil, print)
    end)
  end)
end)

describe("events.once", function()
  it("waits for the next event and gives its arguments", function()
    local e = events.new()
    local t = halo.spawn(events.once, e, "x")
    turn()
    e:emit("y", 0)
    e:emit("x", 1, nil, 3)
    e:emit("x", 4)
    assert.same({ n = 3, 1, nil, 3 }, table.pack(halo.await(t)))
    assert.equal(0, e:listener_count("x"))
    assert.equal(0, e:listener_count("error"))
  end)

  it("several at a time all get it", function()
    local e = events.new()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = halo.spawn(events.once, e, "x")
    end
    turn()
    e:emit("x", "v")
    assert.same({ "v", "v", "v" }, halo.await(promise.all(tasks)))
  end)

  it("an \"error\" meanwhile is raised", function()
    local e = events.new()
    local reason = {}
    local t = halo.spawn(events.once, e, "x")
    turn()
    e:emit("error", reason)
    local ok, err = pcall(halo.await, t)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.equal(0, e:listener_count("x"))
    assert.equal(0, e:listener_count("error"))
  end)

  it("of \"error\" itself gives the error", function()
    local e = events.new()
    local t = halo.spawn(events.once, e, "error")
    turn()
    e:emit("error", "reason")
    assert.equal("reason", halo.await(t))
  end)

  it("cancelled, or its time up, it leaves no listener", function()
    local e = events.new()
    local t = halo.spawn(events.once, e, "x")
    turn()
    t:cancel()
    pcall(halo.await, t)
    assert.equal(0, e:listener_count("x"))
    assert.equal(0, e:listener_count("error"))
    local _, err = halo.timeout(0.002, events.once, e, "x")
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(0, e:listener_count("x"))
    assert.equal(0, e:listener_count("error"))
  end)
end)

describe("events.iter", function()
  it("gives each event's arguments", function()
    local e = events.new()
    local t = halo.spawn(function()
      local list = {}
      for a, b in events.iter(e, "x") do
        list[#list + 1] = { a, b }
        if a == 3 then
          break
        end
      end
      return list
    end)
    turn()
    for i = 1, 4 do
      e:emit("x", i, -i)
      halo.yield()
    end
    assert.same({ { 1, -1 }, { 2, -2 }, { 3, -3 } }, halo.await(t))
  end)

  it("loses none while its body waits", function()
    local e = events.new()
    local t = halo.spawn(function()
      local sum = 0
      for v in events.iter(e, "x") do
        halo.sleep(0.001)
        sum = sum + v
        if v == 10 then
          break
        end
      end
      return sum
    end)
    turn()
    for i = 1, 10 do
      e:emit("x", i)
    end
    assert.equal(55, halo.await(t))
  end)

  it("break stops listening", function()
    local e = events.new()
    local t = halo.spawn(function()
      for _ in events.iter(e, "x") do
        break
      end
    end)
    turn()
    assert.equal(1, e:listener_count("x"))
    e:emit("x", 1)
    halo.await(t)
    assert.equal(0, e:listener_count("x"))
    assert.equal(0, e:listener_count("error"))
  end)

  it("so do an error in the body, a cancel and a time limit", function()
    local e = events.new()
    local t = halo.spawn(function()
      for _ in events.iter(e, "x") do
        error("in the body", 0)
      end
    end)
    turn()
    e:emit("x", 1)
    assert.same({ false, "in the body" }, { pcall(halo.await, t) })
    assert.equal(0, e:listener_count("x"))
    local function endless()
      for _ in events.iter(e, "x") do
        turn()
      end
    end
    t = halo.spawn(endless)
    turn()
    t:cancel()
    pcall(halo.await, t)
    assert.equal(0, e:listener_count("x"))
    local _, err = halo.timeout(0.002, endless)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(0, e:listener_count("x"))
    assert.equal(0, e:listener_count("error"))
  end)

  it("an \"error\" is raised after the events before it", function()
    local e = events.new()
    local reason = {}
    local seen = {}
    local t = halo.spawn(function()
      for v in events.iter(e, "x") do
        seen[#seen + 1] = v
        halo.yield()
      end
    end)
    turn()
    e:emit("x", 1)
    e:emit("x", 2)
    e:emit("error", reason)
    local ok, err = pcall(halo.await, t)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.same({ 1, 2 }, seen)
    assert.equal(0, e:listener_count("x"))
  end)
end)
