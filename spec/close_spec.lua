-- Ending a state with everything open, from everywhere: exit codes are right,
-- nothing hangs, nothing is leaked or touched after it is gone (the suite is
-- run under the sanitizers as well, whose reports turn up on stderr).
local support = require "spec.support"

local hosts = { "halo", "lua5.4" }

-- What is open when the end comes.
local everything = [[
local halo = require "halo"
local timers, promise, sync = halo.timers, halo.promise, halo.sync
local context = halo.context.new()
local function open()
  timers.set_timeout(print, 60, "late")
  timers.set_interval(print, 60, "late")
  timers.set_immediate(function() end)
  timers.set_timeout(function() halo.sleep(60) end, 0)
  halo.spawn(halo.sleep, 60)
  halo.spawn(halo.yield)
  halo.spawn(function() halo.await((promise.with_resolvers())) end)
  halo.spawn(function() halo.timeout(60, halo.sleep, 60) end)
  halo.spawn(function() halo.shield(halo.sleep, 60) end)
  halo.spawn(function() context:run(1, function() context:run(2, halo.sleep, 60) end) end)
  halo.spawn(halo.scope, function(s) s:spawn(halo.sleep, 60) s:spawn(halo.sleep, 60) halo.sleep(60) end)
  local channel, semaphore = sync.channel(0), sync.semaphore(0)
  halo.spawn(function() channel:send(1) end)
  halo.spawn(function() semaphore:acquire() end)
  halo.spawn(function() sync.event():wait() end)
  halo.spawn(halo.await, halo.spawn(halo.sleep, 60))
  halo.next_tick(function() end)
  halo.queue_microtask(function() end)
  promise.new(function() end):next(print):catch(print):finally(print)
  for _ = 1, 8 do halo.spawn(halo.fs.stat, "/") end
  halo.spawn(halo.fs.read_file, "/dev/null")
  local guard <const> = setmetatable({}, { __close = function() end })
  halo.spawn(function() local g <close> = guard halo.sleep(60) end)
end
local function settle() halo.sleep(0.005) end
]]

-- Where the end comes from: %s is what ends it. All in tasks but "main".
local places = {
  ["the main chunk"] = "open() %s",
  ["the main chunk after a wait"] = "open() settle() %s",
  ["a task"] = "open() halo.spawn(function() %s end) halo.sleep(5)",
  ["a task that has waited"] = "open() halo.spawn(function() settle() %s end) halo.sleep(5)",
  ["a timer"] = "open() timers.set_timeout(function() %s end, 0.005) halo.sleep(5)",
  ["one of many timers"] = [[open()
    for i = 1, 5 do timers.set_timeout(function() %s end, 0.005) end
    halo.sleep(5)]],
  ["an immediate"] = "open() timers.set_immediate(function() %s end) timers.set_immediate(print) halo.sleep(5)",
  ["an interval"] = "open() timers.set_interval(function() %s end, 0.002) halo.sleep(5)",
  ["a tick"] = "open() halo.next_tick(function() %s end) halo.sleep(5)",
  ["a microtask"] = "open() halo.queue_microtask(function() %s end) halo.sleep(5)",
  ["a promise's reaction"] = "open() promise.resolve():next(function() %s end) halo.sleep(5)",
  ["a __close"] = [[open() halo.spawn(function()
      local g <close> = setmetatable({}, { __close = function() %s end })
      settle()
    end) halo.sleep(5)]],
  ["a time limit"] = "open() halo.timeout(5, function() settle() %s end) halo.sleep(5)",
  ["a shield in a context"] = [[open() halo.spawn(function()
      context:run(1, halo.shield, function() settle() %s end)
    end) halo.sleep(5)]],
  ["a scope"] = "open() halo.scope(function(s) s:spawn(halo.sleep, 5) settle() %s end) halo.sleep(5)",
  ["a child of a scope"] = "open() halo.scope(function(s) s:spawn(function() settle() %s end) halo.sleep(5) end)",
  ["a coroutine"] = "open() coroutine.wrap(function() %s end)() halo.sleep(5)",
  ["a coroutine of a task"] = "open() halo.spawn(function() coroutine.wrap(function() %s end)() end) halo.sleep(5)",
  ["a pool job's task"] = "open() halo.spawn(function() halo.fs.stat('/') %s end) halo.sleep(5)",
}

local ends = {
  ["os.exit(3)"] = { "os.exit(3)", 3 },
  ["os.exit(0, true)"] = { "os.exit(0, true)", 0 },
  ["os.exit(3, true)"] = { "os.exit(3, true)", 3 },
  ["an error"] = { "error 'the end'", 1, "the end" },
}

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

local function check(host, script, code, message)
  local out, err, status = support.run_script(host, everything .. script)
  assert.are.equal("", out, err)
  if message then
    assert.matches(message, err, 1, true)
    assert.is_nil(err:find("Sanitizer", 1, true), err)
    assert.is_nil(err:find("halo: a handle", 1, true), err)
  else
    assert.are.equal("", err)
  end
  assert.are.equal(code, status, err)
end

for _, host in ipairs(hosts) do
  describe("on " .. host .. ", with all open,", function()
    for _, how in ipairs(sorted(ends)) do
      local text, code, message = table.unpack(ends[how], 1, 3)
      it(how .. " ends it from everywhere", function()
        local failures = {}
        for _, place in ipairs(sorted(places)) do
          local ok, err = pcall(check, host, places[place]:format(text), code, message)
          if not ok then
            failures[#failures + 1] = ("in %s: %s"):format(place, tostring(type(err) == "table" and err.message or err))
          end
        end
        assert.are.equal("", table.concat(failures, "\n"))
      end)
    end
  end)
end

describe("the state closes cleanly", function()
  it("with all open at the normal end of a stock script", function()
    check("lua5.4", "open()", 0)
    check("lua5.4", "open() settle()", 0)
    check("lua5.4", "open() halo.spawn(function() settle() error 'x' end) pcall(halo.sleep, 5)", 0)
  end)

  it("while generators hang in time limits and contexts", function()
    for _, host in ipairs(hosts) do
      check(host, [[
        halo.install { coroutine = true }
        local kept = {}
        halo.await(halo.spawn(function()
          for i = 1, 20 do
            local g = coroutine.wrap(function()
              context:run({}, function()
                halo.timeout(60, function() coroutine.yield(i) end)
              end)
            end)
            g()
            if i % 2 == 0 then kept[i] = g end
          end
        end))
        collectgarbage()
        collectgarbage()
        os.exit(0, true)]], 0)
    end
  end)

  it("and finalizers that call us, before and after the runtime's, get an error at most", function()
    for _, host in ipairs(hosts) do
      local script = [[
        local function finalizer()
          return setmetatable({}, { __gc = function()
            local halo = HALO
            for _, f in ipairs {
              function() halo.spawn(print) end,
              function() halo.next_tick(print) end,
              function() halo.queue_microtask(print) end,
              function() halo.timers.set_timeout(print, 1) end,
              function() halo.timers.set_interval(print, 1) end,
              function() halo.timers.set_immediate(print) end,
              function() halo.promise.resolve(1):next(print) end,
              function() halo.promise.new(function() end):catch(print) end,
              function() local _, resolve = halo.promise.with_resolvers() resolve(1, 2) end,
              function() halo.resources() end,
              function() tostring(halo.current()) end,
              function() TASK:cancel("why") end,
              function() TIMER:refresh():unref():ref() end,
              function() TIMER:clear() end,
              function() RESOLVE(1) end,
            } do pcall(f) end
            for _, f in ipairs {
              function() halo.sleep(0.01) end, function() halo.yield() end,
              function() halo.run(print) end, function() halo.await(TASK) end,
              function() halo.timeout(1, halo.sleep, 0) end,
              function() halo.shield(halo.sleep, 0) end,
              function() halo.scope(function() halo.sleep(0) end) end,
              function() halo.fs.stat("/") end,
            } do
              if pcall(f) then io.stderr:write "waited in __gc\n" end
            end
          end })
        end
        BEFORE = finalizer()
        HALO = require "halo"
        local halo = HALO
        local _ = halo.timers, halo.promise, halo.fs, require "halo.internal.scope"
        AFTER = finalizer()
        TASK = halo.spawn(halo.sleep, 60)
        TIMER = halo.timers.set_timeout(function() end, 60)
        PROMISE, RESOLVE = halo.promise.with_resolvers()
        halo.spawn(function() halo.await(PROMISE) end)
        halo.sleep(0.002)
        os.exit(0, true)]]
      local out, err, code = support.run_script(host, script)
      assert.are.equal("", err)
      assert.are.equal("", (out:gsub("%s", "")))
      assert.are.equal(0, code)
    end
  end)

  it("when a pool job cannot end", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    -- On stock Lua (as in Node) libuv joins its threads at the process's end.
    if hosts[1] == "halo" then
      local _, _, code = support.run_script("halo", ([[
        local halo = require "halo"
        halo.spawn(halo.fs.read_file, %q)
        halo.sleep(0.02)
        os.exit(4, true)]]):format(fifo), { timeout = 5 })
      assert.are.equal(4, code)
    end
    os.remove(fifo)
  end)
end)

describe("busted", function()
  -- Five files, each insulated: five times `require "halo"` in one state.
  local function suite(program, extra)
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    for i = 1, 5 do
      support.write(("%s/n%d_spec.lua"):format(directory, i), [[
        local halo = require "halo"
        local timers = require "halo.timers"
        describe("a file", function()
          it("waits and leaves things open", function()
            halo.sleep(0.001)
            timers.set_timeout(function() end, 60)
            halo.spawn(halo.sleep, 60)
            halo.spawn(function() halo.await((halo.promise.with_resolvers())) end)
            halo.timeout(0.001, halo.sleep, 1)
          end)
          it("fails", function() halo.sleep(0) assert.is_true(]] .. tostring(i ~= extra) .. [[) end)
        end)]])
    end
    local busted = io.popen("command -v busted"):read("l")
    local out, err, code = support.run("lua5.4", program(busted, directory), { timeout = 60 })
    os.execute("rm -r " .. directory)
    return out, err, code
  end

  local function plain(busted, directory)
    return { busted, "--ignore-lua", "-o", "plainTerminal", directory }
  end

  it("loads it in five insulated files and ends cleanly", function()
    local out, err, code = suite(plain)
    assert.are.equal("", err)
    assert.matches("10 successes / 0 failures / 0 errors", out, 1, true)
    assert.are.equal(0, code)
  end)

  it("ends a failing run cleanly", function()
    local out, err, code = suite(plain, 3)
    assert.are.equal("", err)
    assert.matches("9 successes / 1 failure / 0 errors", out, 1, true)
    assert.are.equal(1, code)
  end)
end)

describe("valgrind", function()
  local valgrind = io.popen("command -v valgrind"):read("l")
  local sanitized = (os.getenv("SANITIZE") or "") ~= "" or (os.getenv("HALO_PRELOAD") or "") ~= ""

  local function clean(script)
    local path = support.write(os.tmpname(), script)
    local name = support.write(os.tmpname(), ([[
      local _, _, code = os.execute("%s -q --error-exitcode=99 --leak-check=full %s %s")
      os.exit(code)]]):format(valgrind, support.lua(), path))
    local out, err, code = support.run("lua5.4", { name }, { timeout = 60 })
    os.remove(path)
    os.remove(name)
    assert.are.equal("", err)
    assert.are.equal("", out)
    return code
  end

  it("finds nothing at the end of a stock script with all open", function()
    if not valgrind or sanitized then return pending "no valgrind here" end
    assert.are.equal(0, clean(everything .. "open() settle()"))
    assert.are.equal(3, clean(everything .. "open() halo.spawn(function() settle() os.exit(3, true) end) halo.sleep(5)"))
  end)
end)
