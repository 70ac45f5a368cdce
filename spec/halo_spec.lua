local context = require "halo.context"
local events = require "halo.events"
local fs = require "halo.fs"
local halo = require "halo"
local promise = require "halo.promise"
local support = require "spec.support"
local sync = require "halo.sync"
local timers = require "halo.timers"

local here = debug.getinfo(1, "S").short_src
local commanded = support.host == "halo"

-- Calls fn, which must raise at its own line, and gives the message.
local function misuse(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  local place, text = tostring(message):match("^(.-):%d+: (.*)$")
  assert.are.equal(here, place, message)
  return text
end

-- Runs a script on this host: what it prints, if all goes well.
local function script(code, options)
  local out, err, status = support.run_script(support.host, code, options)
  assert.are.equal("", err)
  assert.are.equal(0, status)
  return out
end

describe("halo", function()
  it("has a version", function()
    assert.matches("^%d+%.%d+%.%d+$", halo.version)
  end)

  it("has the modules as fields, and no others", function()
    assert.are.equal(promise, halo.promise)
    assert.are.equal(timers, halo.timers)
    assert.are.equal(fs, halo.fs)
    assert.is_nil(halo.nothing_of_the_kind)
  end)

  it("sets no globals and changes nothing of its host", function()
    assert.are.equal("", script [[
      local before = {}
      local function note(name, t, seen)
        for k, v in pairs(t) do
          before[name .. "." .. tostring(k)] = v
          if type(v) == "table" and not seen[v] then
            seen[v] = true
            note(name .. "." .. tostring(k), v, seen)
          end
        end
      end
      note("_G", _G, { [_G] = true, [package.loaded] = true, [package.preload] = true })
      local halo = require "halo"
      for _, name in ipairs { "promise", "timers", "context", "sync", "events", "buffer", "fs" } do
        require("halo." .. name)
      end
      local old = before
      before = {}
      note("_G", _G, { [_G] = true, [package.loaded] = true, [package.preload] = true })
      for k, v in pairs(before) do
        if old[k] ~= v and not k:find("^_G%.package%.") then print(k) end
      end]])
  end)
end)

describe("halo.Error", function()
  it("makes an error of a table", function()
    local fields = { code = "ERR_X", message = "it is broken", extra = 7 }
    local err = halo.Error(fields)
    assert.are.equal(fields, err)
    assert.are.equal("ERR_X", err.code)
    assert.are.equal(7, err.extra)
    assert.is_nil(err.nothing)
    assert.are.equal(halo.Error, getmetatable(err))
  end)

  it("wants a code", function()
    assert.matches("bad argument #1 to 'Error' %(field 'code'", misuse(function() halo.Error {} end))
    assert.matches("field 'code'", misuse(function() halo.Error { code = 5 } end))
    assert.matches("table expected", misuse(function() halo.Error "ENOENT" end))
    assert.matches("table expected", misuse(function() halo.Error() end))
  end)

  it("reads as CODE: message, syscall 'path' -> 'dest'", function()
    local fields = { code = "EXDEV" }
    local err = halo.Error(fields)
    assert.are.equal("EXDEV", tostring(err))
    fields.message = "not on one disk"
    assert.are.equal("EXDEV: not on one disk", tostring(err))
    fields.syscall = "rename"
    assert.are.equal("EXDEV: not on one disk, rename", tostring(err))
    fields.path = "/a/x"
    assert.are.equal("EXDEV: not on one disk, rename '/a/x'", tostring(err))
    fields.dest = "/b/x"
    assert.are.equal("EXDEV: not on one disk, rename '/a/x' -> '/b/x'", tostring(err))
    local _, missing = fs.read_file("x.txt")
    assert.are.equal("ENOENT: no such file or directory, open 'x.txt'", tostring(missing))
  end)

  it("is concatenated on both sides", function()
    local err = halo.Error { code = "E", message = "m" }
    assert.are.equal("why: E: m", "why: " .. err)
    assert.are.equal("E: m, 5", err .. ", " .. 5)
    assert.are.equal("E: mE: m", err .. err)
  end)

  it("is raised by assert as it is", function()
    assert.are.equal("true\ntrue\n", script [[
      local halo = require "halo"
      local err = halo.Error { code = "E", message = "m" }
      print(select(2, pcall(assert, nil, err)) == err)
      local _, raised = pcall(function() assert(halo.fs.read_file("/no/such/file")) end)
      print(halo.is_error(raised, "ENOENT"))]])
  end)

  it("uncaught is told with its text", function()
    local _, err, code = support.run_script(support.host,
      [[assert(require("halo.fs").read_file("x.txt"))]])
    assert.are.equal(1, code)
    assert.matches("ENOENT: no such file or directory, open 'x.txt'", err, 1, true)
    if commanded then assert.matches("\nstack traceback:\n", err, 1, true) end
  end)
end)

describe("halo.is_error", function()
  it("knows Halo's errors from all else", function()
    local err = halo.Error { code = "E" }
    assert.is_true(halo.is_error(err))
    assert.is_true(halo.is_error(err, "E"))
    assert.is_false(halo.is_error(err, "F"))
    for _, v in ipairs { "E", 5, true, {}, { code = "E" }, print, io.stdout,
      setmetatable({ code = "E" }, {}), halo.Error, coroutine.create(print) } do
      assert.is_false(halo.is_error(v))
      assert.is_false(halo.is_error(v, "E"))
    end
    assert.is_false(halo.is_error(nil))
  end)

  it("wants a code that is a string", function()
    assert.matches("string expected", misuse(function() halo.is_error({}, {}) end))
  end)
end)

describe("misuse raises at the caller's line:", function()
  local cases = {
    { "spawn", function() halo.spawn(5) end, "#1 to 'spawn' %(function expected, got number%)" },
    { "spawn of nothing", function() halo.spawn() end, "#1 to 'spawn' %(function expected" },
    { "next_tick", function() halo.next_tick(nil) end, "#1 to 'next_tick' %(function expected" },
    { "queue_microtask", function() halo.queue_microtask("x") end, "#1 to 'queue_microtask' %(function expected" },
    { "await", function() halo.await(5) end, "#1 to 'await' %(halo.Promise expected, got number%)" },
    { "await of a plain table", function() halo.await({}) end, "#1 to 'await' %(halo.Promise expected" },
    { "sleep", function() halo.sleep() end, "#1 to 'sleep' %(number expected" },
    { "a negative time", function() halo.sleep(-0.001) end, "#1 to 'sleep' %(time out of range" },
    { "a time that is no number", function() halo.sleep(0 / 0) end, "time out of range" },
    { "an endless time", function() halo.sleep(math.huge) end, "time out of range" },
    { "a time above 2^31", function() halo.sleep(2 ^ 31 + 1) end, "time out of range" },
    { "timeout's time", function() halo.timeout("soon", print) end, "#1 to 'timeout' %(number expected" },
    { "timeout's function", function() halo.timeout(1, 5) end, "#2 to 'timeout' %(function expected" },
    { "shield", function() halo.shield(5) end, "#1 to 'shield' %(function expected" },
    { "run", function() halo.run(5) end, "#1 to 'run' %(function expected" },
    { "scope", function() halo.scope(5) end, "#1 to 'scope' %(function expected" },
    { "install", function() halo.install(5) end, "#1 to 'install' %(table expected" },
    { "an unknown option", function() halo.install { coroutines = true } end, "unknown option 'coroutines'" },
    { "set_timeout", function() timers.set_timeout(5) end, "#1 to 'set_timeout' %(function expected" },
    { "set_timeout's time", function() timers.set_timeout(print, -1) end, "#2 to 'set_timeout' %(time out of range" },
    { "set_interval", function() timers.set_interval(print, {}) end, "#2 to 'set_interval' %(number expected" },
    { "set_immediate", function() timers.set_immediate() end, "#1 to 'set_immediate' %(function expected" },
    { "clear", function() timers.clear(5) end, "#1 to 'clear' %(halo.Timer expected" },
    { "every", function() for _ in timers.every(-1) do break end end, "#1 to 'every' %(" },
    { "context.run", function() context.new():run(1, 5) end, "#2 to 'run' %(function expected" },
    { "a context's methods", function() context.new().get({}) end, "halo.context expected" },
    { "promise.new", function() promise.new(5) end, "#1 to 'new' %(function expected" },
    { "promise.all", function() promise.all(5) end, "#1 to 'all' %(table expected" },
    { "promise's methods", function() promise.resolve().next({}) end, "halo.Promise expected" },
    { "task's methods", function() halo.spawn(print).cancel(promise.resolve()) end, "halo.Task expected" },
    { "channel", function() sync.channel(-1) end, "#1 to 'channel' %(integer" },
    { "send", function() sync.channel():send(nil) end, "#1 to 'send' %(value expected" },
    { "semaphore", function() sync.semaphore(1.5) end, "#1 to 'semaphore' %(integer" },
    { "acquire", function() sync.semaphore(1):acquire(0) end, "#1 to 'acquire' %(integer" },
    { "condition", function() sync.condition():wait(sync.mutex()) end, "#1 to 'wait' %(locked mutex expected" },
    { "on", function() events.new():on("x") end, "#2 to 'on' %(function expected" },
    { "an event without a name", function() events.new():on(nil, print) end, "#1" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.matches(case[3], misuse(case[2]))
    end)
  end

  it("a table that can be called is a function", function()
    local callable = setmetatable({}, { __call = function(_, ...) return ... end })
    assert.are.equal(7, halo.await(halo.spawn(callable, 7)))
    assert.are.equal(7, halo.shield(callable, 7))
    assert.are.equal(7, halo.timeout(1, callable, 7))
    assert.are.equal(7, context.new():run(1, callable, 7))
  end)
end)

describe("halo.run", function()
  it("runs the loop until nothing is left to do", function()
    assert.are.equal("tick\ntask\nmicrotask\ntimer\nlate timer\nend\n", script [[
      local halo = require "halo"
      local timers = require "halo.timers"
      timers.set_timeout(function()
        print "timer"
        timers.set_timeout(print, 0.001, "late timer")
      end, 0.001)
      timers.set_timeout(print, 60, "never"):unref()
      halo.spawn(print, "task")
      halo.queue_microtask(print, "microtask")
      halo.next_tick(print, "tick")
      halo.run()
      print "end"]])
  end)

  it("gives the function's results once all is done", function()
    assert.are.equal("in a task\na\tb\ntimer\n2\tresult\tnil\n", script [[
      local halo = require "halo"
      local function show(...) print(select("#", ...), ...) end
      show(halo.run(function(...)
        print(halo.current() and "in a task")
        halo.sleep(0.001)
        print(...)
        require("halo.timers").set_timeout(print, 0.001, "timer")
        return "result", nil
      end, "a", "b"))]])
  end)

  it("raises what the function raises, as it is", function()
    assert.are.equal("false\ttrue\nfalse\tE: m\n", script [[
      local halo = require "halo"
      local reason = {}
      local ok, err = pcall(halo.run, error, reason)
      print(ok, err == reason)
      print(pcall(halo.run, function()
        halo.sleep(0.001)
        error(halo.Error { code = "E", message = "m" })
      end))]])
  end)

  it("works again and again, with nothing to do, and nested", function()
    assert.are.equal("0\t0\nnested\t7\n", script [[
      local halo = require "halo"
      print(select("#", halo.run()), select("#", halo.run()))
      print(halo.run(function()
        return "nested", halo.run(function() halo.sleep(0.001) return 7 end)
      end))]])
  end)

  it("waits in any task until nothing else is left", function()
    assert.are.equal("timer\ntask\n", script [[
      local halo = require "halo"
      local task = halo.spawn(function()
        require("halo.timers").set_timeout(print, 0.01, "timer")
        halo.run()
        print "task"
      end)
      halo.await(task)]])
  end)

  it("waits in a callback", function()
    assert.are.equal("late\ncallback\n", script [[
      local halo = require "halo"
      local timers = require "halo.timers"
      timers.set_timeout(function()
        timers.set_timeout(print, 0.01, "late")
        halo.run()
        print "callback"
      end, 0.001)
      halo.run()]])
  end)

  it("waits in several tasks at a time", function()
    assert.are.equal("timer\na\nb\n", script [[
      local halo = require "halo"
      require("halo.timers").set_timeout(print, 0.01, "timer")
      halo.spawn(function() halo.run() print "a" end)
      halo.spawn(function() halo.run() print "b" end)
      halo.run()]])
  end)

  it("can be cancelled and can time out", function()
    assert.are.equal("nil\tETIMEDOUT\nfalse\tECANCELED\n", script [[
      local halo = require "halo"
      local timers = require "halo.timers"
      do
        local work <close> = timers.set_timeout(print, 60)
        local result, err = halo.timeout(0.001, halo.run)
        print(result, err.code)
      end
      local task = halo.spawn(halo.run)
      local work <close> = timers.set_timeout(print, 60)
      halo.yield()
      task:cancel()
      local ok, err = pcall(halo.await, task)
      print(ok, err.code)]])
  end)

  it("is not kept waiting by the time limit around it", function()
    assert.are.equal("true\n", script [[
      local halo = require "halo"
      print(halo.timeout(0.5, function() halo.run() return true end))]])
  end)
end)

describe("halo.resources", function()
  -- The entries of that kind whose detail has the text.
  local function find(kind, text)
    local found = {}
    for _, r in ipairs(halo.resources()) do
      if r.kind == kind and r.detail:find(text, 1, true) then found[#found + 1] = r end
    end
    return found
  end

  it("lists timers, with where they were set, until they are cleared", function()
    local function f() end
    local timer = timers.set_timeout(f, 61.5)
    local interval = timers.set_interval(f, 62.5):unref()
    local immediate = timers.set_immediate(f)
    local line = debug.getinfo(1, "l").currentline
    local found = find("timer", "61.5")
    assert.are.equal(1, #found)
    assert.matches(("set at %s:%d"):format(here, line - 3), found[1].detail, 1, true)
    assert.is_nil(found[1].unref)
    found = find("timer", "62.5")
    assert.are.equal(1, #found)
    assert.matches("repeats", found[1].detail, 1, true)
    assert.is_true(found[1].unref)
    assert.are.equal(1, #find("immediate", here .. ":" .. line - 1))
    timer:clear()
    interval:clear()
    immediate:clear()
    assert.are.equal(0, #find("timer", "61.5"))
    assert.are.equal(0, #find("timer", "62.5"))
    assert.are.equal(0, #find("immediate", here .. ":" .. line - 1))
  end)

  it("lists the tasks that wait, and for what", function()
    local line = debug.getinfo(1, "l").currentline
    local sleeper = halo.spawn(halo.sleep, 63)
    local waiter = halo.spawn(function() halo.await(sleeper) end)
    halo.yield()
    assert.are.equal(1, #find("task", ("sleep, spawned at %s:%d"):format(here, line + 1)))
    assert.are.equal(1, #find("task", ("await, spawned at %s:%d"):format(here, line + 2)))
    waiter:cancel()
    sleeper:cancel()
    halo.yield()
    assert.are.equal(0, #find("task", ("spawned at %s:%d"):format(here, line + 1)))
    assert.are.equal(0, #find("task", ("spawned at %s:%d"):format(here, line + 2)))
  end)

  it("tells since when", function()
    local guard <close> = timers.set_timeout(print, 64)
    local first = find("timer", "64.0")[1]
    halo.sleep(0.002)
    local second = find("timer", "64.0")[1]
    assert.are.equal(first.created_at, second.created_at)
    assert.is_true(first.created_at >= 0)
    assert.is_true(first.age >= 0)
    assert.is_true(second.age > first.age)
  end)

  it("does not list the running task, nor what has ended", function()
    assert.are.equal("0\n0\n", script [[
      local halo = require "halo"
      print(#halo.resources())
      halo.timers.set_timeout(function() end, 0.001)
      halo.await(halo.spawn(halo.sleep, 0.002))
      print(#halo.resources())]])
  end)
end)

describe("outside any task", function()
  if commanded then return end -- there the main chunk is a task

  it("there is no current task", function()
    assert.is_nil(halo.current())
    assert.are.equal("Task", tostring(halo.run(halo.current)):match("^%a+"))
  end)

  it("each wait runs the loop until it is done", function()
    halo.sleep(0.001)
    halo.yield()
    assert.are.same({ 1, 2, n = 2 }, table.pack(halo.await(promise.resolve(1, 2))))
    assert.are.equal(3, halo.await(halo.spawn(function() halo.sleep(0.001) return 3 end)))
    assert.are.equal(4, halo.shield(function() halo.sleep(0.001) return 4 end))
    assert.are.equal("ETIMEDOUT", select(2, halo.timeout(0.001, halo.sleep, 60)).code)
    assert.are.equal(5, halo.scope(function(scope)
      local task = scope:spawn(function() halo.sleep(0.001) return 5 end)
      return halo.await(task)
    end))
    local ctx = context.new()
    assert.are.equal(6, ctx:run(6, function() halo.sleep(0.001) return ctx:get() end))
    assert.are.equal("directory", fs.stat("/").type)
  end)

  it("waits for what other tasks do", function()
    local channel = sync.channel()
    halo.spawn(function() channel:send("sent") end)
    assert.are.equal("sent", channel:receive())
    local semaphore = sync.semaphore(0)
    timers.set_timeout(semaphore.release, 0.001, semaphore)
    assert.is_true(semaphore:acquire())
    local emitter = events.new()
    timers.set_timeout(emitter.emit, 0.001, emitter, "event", 8)
    assert.are.equal(8, events.once(emitter, "event"))
    local n = 0
    for i in timers.every(0.001) do
      n = i
      if n == 3 then break end
    end
    assert.are.equal(3, n)
  end)

  it("a wait may stand in a coroutine, table.sort or string.gsub", function()
    local co = coroutine.wrap(function()
      halo.sleep(0.001)
      coroutine.yield("yielded")
      halo.sleep(0.001)
      return "returned"
    end)
    assert.are.equal("yielded", co())
    assert.are.equal("returned", co())
    assert.are.equal("ABC", (("abc"):gsub(".", function(c)
      return halo.await(promise.resolve(c:upper()))
    end)))
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b)
      halo.yield()
      return a < b
    end)
    assert.are.same({ 1, 2, 3 }, list)
  end)

  it("a wait that nothing can end raises EDEADLK", function()
    local pending = promise.with_resolvers()
    local ok, err = pcall(halo.await, pending)
    assert.is_false(ok)
    assert.is_true(halo.is_error(err, "EDEADLK"))
    ok, err = pcall(sync.channel().receive, sync.channel())
    assert.is_false(ok)
    assert.are.equal("EDEADLK", err.code)
    halo.sleep(0.001) -- and all goes on
  end)

  it("a wait that raised EDEADLK was cancelled", function()
    local seen
    local ok, err = pcall(halo.run, function()
      local guard <close> = setmetatable({}, {
        __close = function(_, why) seen = why end,
      })
      halo.await((promise.with_resolvers()))
    end)
    assert.is_false(ok)
    assert.are.equal("EDEADLK", err.code)
    assert.is_true(halo.is_error(seen, "ECANCELED"))
  end)

  it("nothing runs between two waits", function()
    local ran = false
    halo.next_tick(function() ran = true end)
    assert.is_false(ran)
    halo.yield()
    assert.is_true(ran)
  end)

  it("an error that nobody catches is raised by the call that runs the loop", function()
    local order = {}
    timers.set_timeout(function() error("in a callback") end, 0.001)
    timers.set_timeout(function() order[1] = "next" end, 0.002)
    local ok, message = pcall(halo.sleep, 60)
    assert.is_false(ok)
    assert.matches("in a callback\nstack traceback:", message, 1, true)
    assert.matches("spawned at " .. here, message, 1, true)
    assert.are.same({}, order)
    halo.sleep(0.005)
    assert.are.same({ "next" }, order)

    local reason = {}
    promise.reject(reason)
    ok, message = pcall(halo.run)
    assert.is_false(ok)
    assert.are.equal(reason, message)
  end)
end)

describe("a wait that cannot be", function()
  local function wait() halo.sleep(0) end

  it("says inside of what", function()
    assert.are.equal("table.sort\nstring.gsub\ntostring\nstring.format\ntable.unpack\nload\n", script [[
      local halo = require "halo"
      local function wait() halo.sleep(0) end
      local function try(...)
        local ok, first, second = pcall(...)
        local message = ok and second or first
        print(message:match("cannot wait inside (%S+) %(a C function%)$"))
      end
      halo.run(function()
        try(table.sort, { 2, 1 }, wait)
        try(string.gsub, "a", ".", wait)
        local object = setmetatable({}, { __tostring = wait })
        try(tostring, object)
        try(string.format, "%s", object)
        try(table.unpack, setmetatable({}, { __index = wait }), 1, 1)
        try(load, wait)
      end)]])
  end)

  it("raises in a finalizer", function()
    local ok, message = halo.await(halo.spawn(function()
      local ok, message
      setmetatable({}, { __gc = function() ok, message = pcall(wait) end })
      collectgarbage()
      return ok, message
    end))
    assert.is_false(ok)
    assert.matches("cannot wait inside __gc", message, 1, true)
  end)

  it("is none in pcall, metamethods, iterators, __close and dofile", function()
    local path = support.write(os.tmpname(), "require('halo').sleep(0.001) return 'file'")
    halo.await(halo.spawn(function()
      assert.are.same({ true, 1 }, { pcall(function() wait() return 1 end) })
      assert.are.same({ false, 2 }, { xpcall(function() wait() error(1) end, function(e) return e + 1 end) })
      local object = setmetatable({}, {
        __index = function() wait() return 3 end,
        __add = function() wait() return 4 end,
        __concat = function() wait() return 5 end,
        __eq = function() wait() return true end,
        __lt = function() wait() return true end,
        __call = function() wait() return 6 end,
        __close = function() wait() end,
      })
      assert.are.same({ 3, 4, 5, 6 }, { object.x, object + 1, object .. "", object() })
      assert.is_true(object == setmetatable({}, getmetatable(object)))
      assert.is_true(object < object)
      for i in function(_, i) wait() return not i and 7 or nil end do assert.are.equal(7, i) end
      do local guard <close> = object end
      assert.is_false(pcall(function()
        local guard <close> = object
        error("unwinding")
      end))
      assert.are.equal("file", dofile(path))
    end))
    os.remove(path)
  end)
end)

describe("halo.install", function()
  it("does nothing for what is not wanted", function()
    local wrap, load_module = coroutine.wrap, require
    halo.install {}
    halo.install { coroutine = false, require = false }
    assert.are.equal(wrap, coroutine.wrap)
    assert.are.equal(load_module, require)
  end)

  it("changes nothing when an option is unknown", function()
    local wrap = coroutine.wrap
    assert.is_false(pcall(halo.install, { coroutine = true, unknown = true }))
    assert.are.equal(wrap, coroutine.wrap)
  end)

  it("{coroutine = true} lets waits pass through coroutines", function()
    assert.are.equal("1\n2\n3\ndone\n", script [[
      local halo = require "halo"
      halo.install { coroutine = true }
      halo.install { coroutine = true } -- twice is no error
      halo.run(function()
        local outer = coroutine.wrap(function()
          local inner = coroutine.wrap(function()
            for i = 1, 3 do
              halo.sleep(0.001)
              coroutine.yield(i)
            end
          end)
          for i in inner do coroutine.yield(i) end
        end)
        for i in outer do print(i) end
        local co = coroutine.create(function() halo.sleep(0.001) return "done" end)
        local _, answer = coroutine.resume(co)
        print(answer)
      end)]])
  end)

  it("without it says how", function()
    if commanded then return end
    local ok, message = halo.await(halo.spawn(function()
      return pcall(coroutine.wrap(function() halo.sleep(0) end))
    end))
    assert.is_false(ok)
    assert.matches("cannot wait inside a plain coroutine (halo.install{coroutine=true} makes it possible)",
      message, 1, true)
  end)

  it("{coroutine = true} leaves all else as it is", function()
    local code = [[
      local resume, wrap, yield = coroutine.resume, coroutine.wrap, coroutine.yield
      local co = coroutine.create(function(...)
        print("got", ..., select("#", ...))
        print("back", yield("first", nil))
        error({ "object" })
      end)
      print(coroutine.status(co), resume(co, 1, nil))
      print(coroutine.status(co))
      local ok, err = resume(co, 2)
      print(ok, err[1], coroutine.status(co), resume(co))
      print(pcall(wrap(function() error("text") end)))
      print(coroutine.isyieldable(), select(2, coroutine.running()))
      print(wrap(function() return coroutine.isyieldable(), select(2, coroutine.running()) end)())
      local closed = coroutine.create(function()
        local c <close> = setmetatable({}, { __close = function() print "closed" end })
        yield()
      end)
      resume(closed)
      print(coroutine.close(closed), coroutine.status(closed))
      print(resume(coroutine.running()))
      print(select("#", resume(coroutine.create(function() return table.unpack({}, 1, 200) end))))
      local main = coroutine.running()
      print(wrap(function() return coroutine.status(main) end)())]]
    local name = os.tmpname()
    local stock = support.run_script("lua5.4", code, { name = name })
    code = "require('halo').install { coroutine = true }" .. code
    assert.are.equal(stock, script(code, { name = name }))
  end)

  it("{require = true} lets modules wait while they load", function()
    local name = "waiting_" .. tostring(os.time())
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. support.quote(directory)))
    support.write(directory .. "/" .. name .. ".lua", [[
      print("loading", ...)
      require("halo").sleep(0.01)
      return { loaded = true }]])
    local code = ([[
      package.path = %q .. "/?.lua;" .. package.path
      local halo = require "halo"
      halo.install { require = true }
      halo.scope(function(scope)
        local modules = {}
        for i = 1, 3 do scope:spawn(function() modules[i] = require(%q) end) end
        halo.sleep(0.03)
        print(modules[1].loaded, modules[1] == modules[2], modules[2] == modules[3])
      end)
      print(pcall(require, "no.such.module.anywhere"))]]):format(directory, name)
    local out = script(code)
    os.execute("rm -r " .. support.quote(directory))
    assert.matches(("^loading\t%s\t[^\n]*%s.lua\ntrue\ttrue\ttrue\nfalse\tmodule 'no.such.module.anywhere' not found:")
      :format(name, name), out)
  end)
end)

describe("os.exit", function()
  -- Ends with everything open, from where 'call' stands.
  local function exits(body)
    local out, err, code = support.run_script(support.host, [[
      local halo = require "halo"
      local timers = require "halo.timers"
      timers.set_timeout(print, 60, "never")
      timers.set_interval(print, 61, "never")
      halo.spawn(halo.sleep, 62)
      halo.spawn(halo.timeout, 63, halo.await, (halo.promise.with_resolvers()))
      for _ = 1, 20 do halo.spawn(halo.fs.read_file, "/dev/null") end
      halo.yield()
      io.write "kept"
      ]] .. body)
    assert.are.equal("", err)
    assert.are.equal("kept", out)
    return code
  end

  it("ends the main chunk", function()
    assert.are.equal(3, exits "os.exit(3)")
    assert.are.equal(0, exits "os.exit(true)")
    assert.are.equal(1, exits "os.exit(false, true)")
    assert.are.equal(0, exits "os.exit(0, true)")
  end)

  it("ends a task, a callback, a coroutine", function()
    assert.are.equal(4, exits "halo.await(halo.spawn(os.exit, 4))")
    assert.are.equal(5, exits "timers.set_timeout(os.exit, 0.001, 5) halo.sleep(60)")
    assert.are.equal(6, exits "halo.next_tick(os.exit, 6) halo.yield()")
    assert.are.equal(7, exits "coroutine.wrap(function() os.exit(7) end)()")
    assert.are.equal(8, exits "halo.promise.resolve(8):next(os.exit) halo.sleep(60)")
    assert.are.equal(9, exits "halo.scope(function(s) s:spawn(os.exit, 9) halo.sleep(60) end)")
  end)

  it("may stand after waits, under pcall and time limits", function()
    assert.are.equal(5, exits "pcall(function() halo.sleep(0.001) os.exit(5) end)")
    assert.are.equal(6, exits "halo.timeout(60, function() halo.sleep(0.001) os.exit(6) end)")
    assert.are.equal(7, exits "halo.shield(os.exit, 7)")
  end)
end)

describe("the end of a script", function()
  it("is clean with everything open", function()
    local code = [[
      local halo = require "halo"
      local timers = require "halo.timers"
      timers.set_timeout(print, 60, "never"):unref()
      halo.spawn(function() halo.await((halo.promise.with_resolvers())) end)
      local channel = halo.sync.channel()
      halo.spawn(channel.receive, channel)
      halo.yield()
      print "end"]]
    assert.are.equal("end\n", script(code))
  end)
end)
