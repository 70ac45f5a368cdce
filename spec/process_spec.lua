local halo = require "halo"
local process = require "halo.process"
local support = require "spec.support"

local function kill(name)
  assert(os.execute(("kill -%s %d"):format(name, process.pid)))
end

---Runs a script on the host of the suite.
local function run(code, options)
  return support.run_script(support.host, [[
    local halo, process = require "halo", require "halo.process"
    local function kill(name) os.execute(("kill -%s %d"):format(name, process.pid)) end
    ]] .. code, options)
end

describe("process.on", function()
  it("calls a function for each signal, with its name", function()
    local got = {}
    local function listener(name) got[#got + 1] = name end
    process.on("SIGUSR1", listener)
    kill "USR1"
    halo.sleep(0.02)
    kill "USR1"
    halo.sleep(0.02)
    process.off("SIGUSR1", listener)
    assert.are.same({ "SIGUSR1", "SIGUSR1" }, got)
  end)

  it("lets the listener wait", function()
    local done
    process.once("SIGUSR2", function()
      halo.sleep(0.001)
      done = true
    end)
    kill "USR2"
    halo.sleep(0.05)
    assert.is_true(done)
  end)

  it("does not keep the process up", function()
    local out, err, code = run [[
      process.on("SIGHUP", print)
      if not halo.current() then halo.run() end
      print "end"]]
    assert.are.equal("end\n", out)
    assert.are.equal("", err)
    assert.are.equal(0, code)
  end)

  it("gives a signal its old meaning back when the last listener has gone", function()
    local _, _, code = run [[
      process.on("SIGUSR1", print)
      halo.sleep(0.001)
      process.off("SIGUSR1", print)
      halo.sleep(0.001)
      kill "USR1"
      halo.sleep(5)]]
    assert.are.equal(128 + 10, code)
  end)

  it("refuses what is no event", function()
    assert.has_error(function() process.on("SIGNOTHING", print) end)
    assert.has_error(function() process.on("SIGKILL", print) end)
    assert.has_error(function() process.on("exti", print) end)
    assert.has_error(function() process.on("SIGHUP", 1) end)
    local ok, err = pcall(process.on, "exti", print)
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'on' (unknown event 'exti')", err, 1, true)
  end)
end)

describe("process.signals", function()
  it("iterates over signals as they come", function()
    local got = {}
    halo.timers.set_timeout(kill, 0.005, "USR1")
    for name in process.signals("SIGUSR1", "SIGUSR2") do
      got[#got + 1] = name
      if #got == 3 then break end
      kill(#got == 1 and "USR2" or "USR1")
    end
    assert.are.same({ "SIGUSR1", "SIGUSR2", "SIGUSR1" }, got)
  end)

  it("loses none that comes while the loop's body runs", function()
    local n = 0
    halo.timers.set_timeout(kill, 0.005, "USR1")
    for _ in process.signals("SIGUSR1") do
      n = n + 1
      if n == 2 then break end
      kill "USR1"
      halo.sleep(0.02) -- it comes now
    end
    assert.are.equal(2, n)
  end)

  it("keeps the process up while it is waited on", function()
    local out, err, code = run [[
      os.execute(("(sleep 0.1; kill -TERM %d) &"):format(process.pid))
      for name in process.signals("SIGTERM", "SIGINT") do
        print(name)
        break
      end]]
    assert.are.equal("SIGTERM\n", out)
    assert.are.equal("", err)
    assert.are.equal(0, code)
  end)

  it("can be cancelled, and leaves nothing open", function()
    local _, err = halo.timeout(0.01, function()
      for _ in process.signals("SIGHUP") do end
    end)
    assert.are.equal("ETIMEDOUT", err.code)
    halo.sleep(0.001)
    for _, r in ipairs(halo.resources()) do
      assert.is_nil(r.detail:find("SIGHUP", 1, true))
    end
  end)

  it("needs names of signals", function()
    assert.has_error(function() process.signals() end)
    assert.has_error(function() process.signals("SIGKILL") end)
    assert.has_error(function() process.signals("SIGTERM", "TERM") end)
  end)
end)

describe("the end of the process", function()
  if support.host ~= "halo" then return end -- stock Lua ends as it always does

  it("has the code of process.exit_code", function()
    local _, _, code = run "process.exit_code = 3 assert(process.exit_code == 3)"
    assert.are.equal(3, code)
  end)

  it("comes at once with process.exit, which may be called in a task", function()
    local out, err, code = run [[
      process.on("exit", function(code) print("exit", code) end)
      halo.spawn(function()
        halo.sleep(0.001)
        io.write "kept, "
        process.exit(4)
      end)
      halo.sleep(5)
      print "not me"]]
    assert.are.equal("kept, exit\t4\n", out)
    assert.are.equal("", err)
    assert.are.equal(4, code)
  end)

  it("is announced by before_exit, which may begin more, and by exit", function()
    local out, _, code = run [[
      local n = 0
      process.on("before_exit", function(code)
        n = n + 1
        print("before", code)
        if n < 3 then halo.timers.set_timeout(print, 0.001, "timer") end
      end)
      process.on("exit", function(code) print("exit", code) end)
      print "main"]]
    assert.are.equal("main\nbefore\t0\ntimer\nbefore\t0\ntimer\nbefore\t0\nexit\t0\n", out)
    assert.are.equal(0, code)
  end)

  it("is not brought about by an uncaught error that has a listener", function()
    local out, err, code = run [[
      process.on("uncaught_error", function(e, traceback)
        print(e, traceback:match("^[^\n]*"))
      end)
      halo.timers.set_timeout(function() error("lost", 0) end, 0.001)
      halo.sleep(0.02)
      print "on"]]
    assert.are.equal("lost\tstack traceback:\non\n", out)
    assert.are.equal("", err)
    assert.are.equal(0, code)
  end)

  it("is not brought about by a rejection that has a listener", function()
    local out, _, code = run [[
      process.on("unhandled_rejection", function(e) print("rejected", e) end)
      halo.promise.reject("lost")
      halo.sleep(0.01)
      print "on"]]
    assert.are.equal("rejected\tlost\non\n", out)
    assert.are.equal(0, code)
  end)
end)
