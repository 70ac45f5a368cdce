-- Direct style: a wait is a plain call, wherever Lua lets one be suspended;
-- where it does not, an error says so.
local halo = require("halo")
local promise = require("halo.promise")
local support = require("spec.support")

-- The ways to wait that every construct below is tried with.
local waits = {
  sleep = function()
    halo.sleep(0.001)
  end,
  yield = halo.yield,
  ["await of a settled promise"] = function()
    halo.await(promise.resolve())
  end,
  ["await of a pending promise"] = function()
    halo.await(halo.spawn(halo.sleep, 0.001))
  end,
}

-- Calls fn in a task, while another task counts turns.
local function in_task(fn, ...)
  return halo.await(halo.spawn(fn, ...))
end

local function each_wait(title, test)
  for name, wait in pairs(waits) do
    it(title .. ": " .. name, function()
      in_task(test, wait)
      test(wait)
    end)
  end
end

local function closing(fn)
  return setmetatable({}, { __close = fn })
end

describe("a wait works", function()
  each_wait("in a function, several deep", function(wait)
    local function deep(n)
      if n == 0 then
        wait()
        return 0
      end
      return 1 + deep(n - 1)
    end
    assert.equal(100, deep(100))
  end)

  each_wait("in pcall", function(wait)
    assert.same(
      { n = 4, true, 1, nil, 3 },
      table.pack(pcall(function(...)
        wait()
        return ...
      end, 1, nil, 3))
    )
    local reason = {}
    local ok, err = pcall(function()
      wait()
      error(reason)
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
  end)

  each_wait("called by pcall itself", function(wait)
    assert.is_true((pcall(wait)))
  end)

  each_wait("in pcall in pcall", function(wait)
    assert.same(
      { true, false, "x" },
      { pcall(pcall, function()
        wait()
        error("x", 0)
      end) }
    )
  end)

  each_wait("in xpcall, whose handler sees where it failed", function(wait)
    local function fails()
      wait()
      error("here")
    end
    local ok, trace = xpcall(fails, debug.traceback)
    assert.is_false(ok)
    assert.is_truthy(trace:find("direct_style_spec.lua:%d+: here"))
    assert.is_truthy(trace:find("upvalue 'fails'", 1, true) or trace:find("in function <", 1, true))
    assert.same({ true, 5 }, { xpcall(function(v)
      wait()
      return v
    end, print, 5) })
  end)

  each_wait("in metamethods", function(wait)
    local log = {}
    local function meta(name, result)
      return function()
        wait()
        log[#log + 1] = name
        return result
      end
    end
    local names = {
      "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor",
      "shl", "shr", "bnot", "concat", "len", "call",
    }
    local mt = {}
    for _, name in ipairs(names) do
      mt["__" .. name] = meta(name, name)
    end
    mt.__eq = meta("eq", true)
    mt.__lt = meta("lt", true)
    mt.__le = meta("le", false)
    mt.__index = meta("index", "index")
    mt.__newindex = meta("newindex")
    local a, b = setmetatable({}, mt), setmetatable({}, mt)
    assert.same({
      "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor",
      "shl", "shr", "bnot", "concat", "len", "call",
    }, {
      a + b, a - b, a * b, a / b, a % b, a ^ b, -a, a // b, a & b, a | b, a ~ b,
      a << b, a >> b, ~a, a .. b, #a, a(),
    })
    assert.is_true(a == b)
    assert.is_false(a ~= b)
    assert.is_true(a < b)
    assert.is_true(a > b)
    assert.is_false(a <= b)
    assert.is_false(a >= b)
    assert.equal("index", a.x)
    a.x = 1
    assert.equal("newindex", log[#log])
    assert.equal("concat", "x" .. a)
    assert.equal(26, #log)
  end)

  each_wait("in the condition that a metamethod decides", function(wait)
    local lt = setmetatable({}, {
      __lt = function()
        wait()
        return true
      end,
    })
    local n = 0
    while n < 3 and lt < lt do
      n = n + 1
    end
    assert.equal(3, n)
  end)

  each_wait("in an iterator of for", function(wait)
    local function iter(limit, i)
      wait()
      if i < limit then
        return i + 1
      end
    end
    local sum = 0
    for i in iter, 4, 0 do
      sum = sum + i
      wait()
    end
    assert.equal(10, sum)
  end)

  each_wait("in __pairs", function(wait)
    local t = setmetatable({}, {
      __pairs = function()
        return function(_, k)
          wait()
          k = (k or 0) + 1
          if k <= 3 then
            return k, k * k
          end
        end
      end,
    })
    local sum = 0
    for _, v in pairs(t) do
      sum = sum + v
    end
    assert.equal(14, sum)
  end)

  each_wait("in __call chains and tail calls", function(wait)
    local callable = setmetatable({}, {
      __call = function(_, ...)
        wait()
        return ...
      end,
    })
    local function tail(...)
      return callable(...)
    end
    assert.same({ n = 2, nil, 2 }, table.pack(tail(nil, 2)))
    assert.same({ true, 1 }, { pcall(callable, 1) })
  end)

  each_wait("with many arguments and results around it", function(wait)
    local args = {}
    for i = 1, 200 do
      args[i] = i
    end
    local r = table.pack(pcall(function(...)
      wait()
      return ...
    end, table.unpack(args)))
    assert.equal(201, r.n)
    assert.equal(200, r[201])
  end)

  each_wait("in dofile", function(wait)
    local path = support.write(support.temporary(), "local wait = ... or _G.spec_wait; wait(); return 7, 8")
    rawset(_G, "spec_wait", wait)
    local ok, a, b = pcall(dofile, path)
    rawset(_G, "spec_wait", nil)
    os.remove(path)
    assert.is_true(ok, a)
    assert.same({ 7, 8 }, { a, b })
  end)

  each_wait("in a chunk of load", function(wait)
    assert.equal(3, assert(load("local wait = ...; wait(); return 3"))(wait))
  end)
end)

describe("a wait in a <close> variable", function()
  each_wait("at the end of a block", function(wait)
    local log = {}
    do
      local guard <close> = closing(function(_, err)
        wait()
        log[#log + 1] = "a"
        log.err = err
      end)
      local cleanup <close> = closing(function()
        wait()
        log[#log + 1] = "b"
      end)
      log[#log + 1] = "body"
    end
    assert.same({ "body", "b", "a" }, log)
  end)

  each_wait("at return, whose values stay", function(wait)
    local closed = false
    local function f()
      local guard <close> = closing(function()
        wait()
        closed = true
      end)
      return 1, nil, 3
    end
    assert.same({ n = 3, 1, nil, 3 }, table.pack(f()))
    assert.is_true(closed)
  end)

  each_wait("at break and goto", function(wait)
    local n = 0
    for _ = 1, 3 do
      local guard <close> = closing(function()
        wait()
        n = n + 1
      end)
      if n == 1 then
        break
      end
    end
    assert.equal(2, n)
  end)

  each_wait("of a for loop's closing value", function(wait)
    local closed = 0
    for _ in
      function()
        wait()
        return true
      end,
      nil,
      nil,
      closing(function()
        wait()
        closed = closed + 1
      end)
    do
      break
    end
    assert.equal(1, closed)
  end)

  each_wait("while an error unwinds", function(wait)
    local log = {}
    local reason = {}
    local ok, err = pcall(function()
      local guard <close> = closing(function(_, e)
        wait()
        log[#log + 1] = e == reason and "a" or e
      end)
      local cleanup <close> = closing(function(_, e)
        wait()
        log[#log + 1] = e == reason and "b" or e
      end)
      wait()
      error(reason)
    end)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.same({ "b", "a" }, log)
  end)

  each_wait("while an error unwinds, and raises its own", function(wait)
    local seen
    local ok, err = pcall(function()
      local guard <close> = closing(function(_, e)
        wait()
        seen = e
        error("third", 0)
      end)
      local cleanup <close> = closing(function()
        wait()
        error("second", 0)
      end)
      error("first", 0)
    end)
    assert.is_false(ok)
    assert.equal("third", err)
    assert.equal("second", seen)
  end)

  each_wait("at the end of a task that fails", function(wait)
    local log = {}
    local t = halo.spawn(function()
      local guard <close> = closing(function(_, e)
        wait()
        log[#log + 1] = e
      end)
      wait()
      error("reason", 0)
    end)
    local ok, err = pcall(halo.await, t)
    assert.is_false(ok)
    assert.equal("reason", err)
    assert.same({ "reason" }, log)
  end)

  each_wait("under shield, while a cancel runs", function(wait)
    local log = {}
    local t = halo.spawn(function()
      local guard <close> = closing(function(_, e)
        log[#log + 1] = halo.is_error(e, "ECANCELED")
        halo.shield(wait)
        log[#log + 1] = "outer"
      end)
      local cleanup <close> = closing(function(_, e)
        log[#log + 1] = halo.is_error(e, "ECANCELED")
        halo.shield(wait)
        log[#log + 1] = "inner"
      end)
      halo.sleep(60)
    end)
    halo.sleep(0.001)
    t:cancel()
    local ok, err = pcall(halo.await, t)
    assert.is_false(ok)
    assert.is_true(halo.is_error(err, "ECANCELED"))
    assert.same({ true, "inner", true, "outer" }, log)
  end)

  each_wait("without shield, while a cancel runs, raises", function(wait)
    local inside
    local t = halo.spawn(function()
      local guard <close> = closing(function()
        inside = table.pack(pcall(wait))
      end)
      halo.sleep(60)
    end)
    halo.sleep(0.001)
    t:cancel()
    pcall(halo.await, t)
    assert.is_false(inside[1])
    assert.is_true(halo.is_error(inside[2], "ECANCELED"))
  end)
end)

describe("where Lua forbids it a wait raises", function()
  -- What a wait in a task raises when fn(wait) calls it.
  local function refusal(fn)
    local ok, err = pcall(in_task, function()
      fn(function()
        halo.sleep(0.001)
      end)
    end)
    assert.is_false(ok)
    return tostring(err)
  end

  it("in string.gsub", function()
    local text = refusal(function(wait)
      return (("x"):gsub("x", wait))
    end)
    assert.is_truthy(text:find("cannot wait inside string.gsub", 1, true), text)
  end)

  it("in table.sort", function()
    local text = refusal(function(wait)
      table.sort({ 3, 2, 1 }, function(a, b)
        wait()
        return a < b
      end)
    end)
    assert.is_truthy(text:find("cannot wait inside table.sort", 1, true), text)
  end)

  it("in __tostring", function()
    local text = refusal(function(wait)
      tostring(setmetatable({}, { __tostring = wait }))
    end)
    assert.is_truthy(text:find("cannot wait inside tostring", 1, true), text)
  end)

  it("in table functions that call metamethods", function()
    local text = refusal(function(wait)
      table.concat(setmetatable({}, {
        __len = function()
          wait()
          return 0
        end,
      }))
    end)
    assert.is_truthy(text:find("cannot wait inside table.concat", 1, true), text)
  end)

  it("in load's reader", function()
    local text = refusal(function(wait)
      assert(load(wait))
    end)
    assert.is_truthy(text:find("cannot wait inside load", 1, true), text)
  end)

  it("in a message handler", function()
    local handled
    local ok = in_task(function()
      return (xpcall(error, function()
        handled = table.pack(pcall(halo.sleep, 0.001))
        return "handled"
      end))
    end)
    assert.is_false(ok)
    assert.is_false(handled[1])
    assert.is_truthy(tostring(handled[2]):find("cannot wait inside", 1, true))
  end)

  it("in __gc", function()
    local result
    in_task(function()
      setmetatable({}, {
        __gc = function()
          result = table.pack(pcall(halo.sleep, 0.001))
        end,
      })
      collectgarbage()
      collectgarbage()
    end)
    assert.is_false(result[1])
    assert.is_truthy(tostring(result[2]):find("cannot wait inside", 1, true))
  end)

  it("whatever waits", function()
    for name, wait in pairs(waits) do
      local ok, err = pcall(in_task, string.gsub, "x", "x", function()
        wait()
      end)
      assert.is_false(ok, name)
      assert.is_truthy(tostring(err):find("cannot wait inside string.gsub", 1, true), name)
    end
  end)

  it("and the task goes on", function()
    local v = in_task(function()
      local ok = pcall(string.gsub, "x", "x", function()
        halo.sleep(0.001)
      end)
      halo.sleep(0.001)
      return ok
    end)
    assert.is_false(v)
  end)
end)

describe("outside all tasks", function()
  local prelude = [[
local halo = require("halo")
local promise = require("halo.promise")
local timers = require("halo.timers")
]]

  it("a wait runs the loop until it is done", function()
    local out, err, code = support.run_script("lua5.4", prelude .. [[
print(halo.current())
timers.set_timeout(print, 0.001, "timer 1")
timers.set_timeout(print, 0.2, "too late")
halo.sleep(0.02)
print("slept")
print(halo.await(halo.spawn(function() halo.sleep(0.001) return 1, nil, 3 end)))
print(pcall(halo.await, promise.reject("reason")))
local n = 0
for i in timers.every(0.001) do n = n + i; if i == 3 then break end end
print(n)
]])
    assert.equal("", err)
    assert.equal("nil\ntimer 1\nslept\n1\tnil\t3\nfalse\treason\n6\n", out)
    assert.equal(0, code)
  end)

  it("halo.run runs it until nothing is left", function()
    local out, err, code = support.run_script("lua5.4", prelude .. [[
timers.set_timeout(function() halo.sleep(0.005); print("timer") end, 0.001)
halo.spawn(function() halo.sleep(0.02); print("task") end)
print("script")
halo.run()
print("all done")
print(halo.run(function(...) print(halo.current() ~= nil); halo.sleep(0.001); return ... end, 1, nil, 3))
print(pcall(halo.run, function() error("x", 0) end))
]])
    assert.equal("", err)
    assert.equal("script\ntimer\ntask\nall done\ntrue\n1\tnil\t3\nfalse\tx\n", out)
    assert.equal(0, code)
  end)

  it("a wait that nothing could end raises", function()
    local out = support.run_script("lua5.4", prelude .. [[
print(pcall(halo.await, promise.new(function() end)))
print("goes on")
halo.sleep(0.001)
]])
    assert.is_truthy(out:find("^false\t.*\ngoes on\n$"), out)
  end)

  it("a task's error that nobody handles is raised by what runs the loop", function()
    local out, err, code = support.run_script("lua5.4", prelude .. [[
halo.spawn(function() error("lost") end)
halo.sleep(0.01)
print("not reached")
]])
    assert.equal("", out)
    assert.is_truthy(err:find("lost", 1, true))
    assert.equal(1, code)
  end)
end)

describe("inside user coroutines", function()
  -- Runs the script in the command, and in stock Lua with what the command
  -- has built in installed.
  local function both(title, code, expected)
    for _, host in ipairs({ "halo", "lua5.4" }) do
      it(title .. " (" .. host .. ")", function()
        local text = 'local halo = require("halo")\nlocal promise = require("halo.promise")\n' .. code
        if host == "lua5.4" then
          text = ('local halo = require("halo")\nhalo.install({ coroutine = true, require = true })\n'
            .. 'halo.run(assert(load(%q, "=script")))'):format(text)
        end
        local out, err, status = support.run_script(host, text)
        assert.equal("", err)
        assert.equal(expected, out)
        assert.equal(0, status)
      end)
    end
  end

  both("a generator may wait", [[
local function generator(n)
  return coroutine.wrap(function()
    for i = 1, n do
      halo.sleep(0.001)
      coroutine.yield(i)
    end
  end)
end
for i in generator(3) do print(i) end
]], "1\n2\n3\n")

  both("generators nested three deep may wait", [[
local function level(depth)
  return coroutine.wrap(function()
    halo.sleep(0.001)
    if depth == 3 then
      for i = 1, 3 do
        halo.await(promise.resolve())
        halo.yield()
        coroutine.yield(i)
      end
    else
      for v in level(depth + 1) do
        halo.sleep(0.001)
        coroutine.yield(v * 10)
      end
    end
    halo.sleep(0.001)
  end)
end
for v in level(1) do print(v) end
print("end")
]], "100\n200\n300\nend\n")

  both("resume sees yields, never waits", [[
local co = coroutine.create(function(a)
  print("a", a)
  halo.sleep(0.001)
  local b = coroutine.yield("one")
  print("b", b)
  halo.sleep(0.001)
  print(pcall(halo.await, promise.reject("reason")))
  return "two"
end)
print(coroutine.resume(co, 1))
print(coroutine.status(co))
print(coroutine.resume(co, 2))
print(coroutine.status(co))
print(coroutine.resume(co))
]], "a\t1\ntrue\tone\nsuspended\nb\t2\nfalse\treason\ntrue\ttwo\ndead\nfalse\tcannot resume dead coroutine\n")

  both("other tasks run meanwhile", [[
halo.spawn(function()
  for i = 1, 3 do print("task", i) halo.yield() end
end)
local gen = coroutine.wrap(function()
  for i = 1, 3 do halo.yield() coroutine.yield(i) end
end)
for i in gen do print("generator", i) end
]], "task\t1\ngenerator\t1\ntask\t2\ngenerator\t2\ntask\t3\ngenerator\t3\n")

  both("each task has its own generator going", [[
local function gen(name)
  return coroutine.wrap(function()
    for i = 1, 3 do halo.yield() coroutine.yield(name .. i) end
  end)
end
local tasks = {}
for i, name in ipairs({ "a", "b" }) do
  tasks[i] = halo.spawn(function() for v in gen(name) do print(v) end end)
end
halo.await(promise.all(tasks))
]], "a1\nb1\na2\nb2\na3\nb3\n")

  both("errors go through", [[
local gen = coroutine.wrap(function()
  halo.sleep(0.001)
  error({ "reason" })
end)
local ok, err = pcall(gen)
print(ok, err[1])
local co = coroutine.create(function()
  halo.sleep(0.001)
  error("reason", 0)
end)
print(coroutine.resume(co))
print(coroutine.status(co), coroutine.close(co))
]], "false\treason\nfalse\treason\ndead\tfalse\treason\n")

  both("a <close> variable of a generator may wait at its end", [[
local gen = coroutine.wrap(function()
  local guard <close> = setmetatable({}, { __close = function() halo.sleep(0.001) print("closed") end })
  coroutine.yield(1)
end)
print(gen())
gen()
]], "1\nclosed\n")

  both("a <close> variable of a generator may wait while an error unwinds", [[
local gen = coroutine.wrap(function()
  local guard <close> = setmetatable({}, { __close = function(_, e)
    print("closing", e)
    halo.sleep(0.001)
    print("closed")
  end })
  halo.sleep(0.001)
  error("reason", 0)
end)
local ok, err = pcall(gen)
print(ok, err:match("reason"))
]], "closing\treason\nclosed\nfalse\treason\n")

  both("coroutine.close, which Lua does not let wait, says so", [[
local co = coroutine.create(function()
  local guard <close> = setmetatable({}, { __close = function() halo.sleep(0.001) end })
  coroutine.yield()
end)
coroutine.resume(co)
local ok, err = coroutine.close(co)
print(ok, err:match("cannot wait inside coroutine.close"))
]], "false\tcannot wait inside coroutine.close\n")

  both("a wait passes through pcall, metamethods and wrap together", [[
local t = setmetatable({}, { __add = function(a, b)
  return coroutine.wrap(function()
    local ok, v = pcall(function() halo.sleep(0.001) return 5 end)
    coroutine.yield(v + b)
  end)()
end })
print(t + 1)
]], "6\n")

  both("a coroutine that waits cannot be resumed by another task", [[
local co = coroutine.create(function() halo.sleep(0.01) return "done" end)
halo.spawn(function()
  print(coroutine.status(co), coroutine.resume(co))
  print(pcall(coroutine.close, co))
end)
print(coroutine.resume(co))
]], "normal\tfalse\tcannot resume non-suspended coroutine\nfalse\tcannot close a normal coroutine\ntrue\tdone\n")

  both("a cancel reaches the wait in a generator", [[
local t = halo.spawn(function()
  local gen = coroutine.wrap(function()
    local guard <close> = setmetatable({}, { __close = function(_, e)
      print("closing", e.code)
      halo.shield(halo.sleep, 0.001)
      print("closed")
    end })
    halo.sleep(60)
  end)
  gen()
end)
halo.sleep(0.001)
t:cancel()
local ok, err = pcall(halo.await, t)
print(ok, err.code)
]], "closing\tECANCELED\nclosed\nfalse\tECANCELED\n")

  both("a time limit inside and around a generator", [[
local gen = coroutine.wrap(function()
  local r, err = halo.timeout(0.005, halo.sleep, 60)
  coroutine.yield(err.code)
  halo.sleep(60)
end)
print(gen())
local r, err = halo.timeout(0.005, gen)
print(r, err.code)
]], "ETIMEDOUT\nnil\tETIMEDOUT\n")

  both("a generator may go from task to task", [[
local gen = coroutine.wrap(function()
  for i = 1, 4 do halo.sleep(0.001) coroutine.yield(i) end
end)
print(gen())
print(halo.await(halo.spawn(gen)))
print(gen())
print(halo.await(halo.spawn(gen)))
]], "1\n2\n3\n4\n")

  both("a C function that holds a generator is named", [[
local ok, err = pcall(string.gsub, "x", "x", coroutine.wrap(function() halo.sleep(0.001) end))
print(ok, err:match("cannot wait inside string.gsub"))
halo.sleep(0.001)
print("goes on")
]], "false\tcannot wait inside string.gsub\ngoes on\n")

  it("without halo.install stock Lua's coroutines say what to do", function()
    local out = support.run_script("lua5.4", [[
local halo = require("halo")
halo.run(function()
  print(coroutine.resume(coroutine.create(function() halo.sleep(0.001) end)))
end)
]])
    assert.is_truthy(out:find("^false\t.*cannot wait inside a plain coroutine.*halo.install"), out)
  end)
end)

describe("while modules load", function()
  local function with_modules(modules, run)
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. support.quote(directory)))
    for name, text in pairs(modules) do
      support.write(directory .. "/" .. name .. ".lua", text)
    end
    local ok, err = pcall(run, directory)
    os.execute("rm -r " .. support.quote(directory))
    if not ok then
      error(err, 0)
    end
  end

  local modules = {
    sleeper = [[
local halo = require("halo")
print("loading", ...)
halo.sleep(0.01)
print("loaded")
return { name = "sleeper" }
]],
    outer = [[
local sleeper = require("sleeper")
require("halo").sleep(0.001)
return { inner = sleeper.name }
]],
    failing = [[
require("halo").sleep(0.001)
error("reason", 0)
]],
    false_value = [[require("halo").sleep(0.001) return false]],
    first = [[require("halo").sleep(0.001) return { second = require("second") }]],
    second = [[require("halo").sleep(0.001) return { first = package.loaded.first }]],
  }

  local function check(title, code, expected)
    for _, host in ipairs({ "halo", "lua5.4" }) do
      it(title .. " (" .. host .. ")", function()
        with_modules(modules, function(directory)
          local text = ('package.path = %q .. "/?.lua;" .. package.path\n'):format(directory) .. code
          if host == "lua5.4" then
            text = ('local halo = require("halo")\nhalo.install({ require = true })\n'
              .. 'halo.run(assert(load(%q, "=script")))'):format(text)
          end
          local out, err, status = support.run_script(host, text)
          out = out:gsub(directory:gsub("%p", "%%%0"), "DIR")
          assert.equal("", err)
          assert.equal(expected, out)
          assert.equal(0, status)
        end)
      end)
    end
  end

  check("a module may wait at its top level", [[
print(require("sleeper").name)
print(select(2, require("sleeper")))
]], "loading\tsleeper\tDIR/sleeper.lua\nloaded\nsleeper\n\n")

  check("also through another", 'print(require("outer").inner)',
    "loading\tsleeper\tDIR/sleeper.lua\nloaded\nsleeper\n")

  check("who requires it meanwhile waits for it", [[
local halo = require("halo")
local tasks = {}
for i = 1, 3 do
  tasks[i] = halo.spawn(function() return require("sleeper") end)
end
local list = halo.await(require("halo.promise").all(tasks))
print(list[1] == list[2], list[2] == list[3], list[1].name)
]], "loading\tsleeper\tDIR/sleeper.lua\nloaded\ntrue\ttrue\tsleeper\n")

  check("an error goes to whoever requires it, and it can be tried again", [[
print(pcall(require, "failing"))
print(pcall(require, "failing"))
print(package.loaded.failing)
]], "false\treason\nfalse\treason\nnil\n")

  check("values as in stock Lua", [[
print(require("false_value"), package.loaded.false_value)
print(pcall(require, {}))
print((select(2, pcall(require, "no.such.module")):match("^[^\n]*")))
print(require("string") == string)
]], "false\tfalse\nfalse\tbad argument #1 to 'require' (string expected, got table)\n"
    .. "module 'no.such.module' not found:\ntrue\n")

  check("one module that requires another", 'print(require("first").second.first)', "nil\n")
end)
