-- The halo command: what lua5.4 does, it does; and what it adds.
local support = require "spec.support"
local run, run_script = support.run, support.run_script

if support.host ~= "halo" then return end -- the command is the same for both

-- Program names, addresses and the frames below the main chunk are a host's own.
local function neutral(text)
  text = text:gsub(support.halo():gsub("%p", "%%%0"), "PROGRAM")
  text = text:gsub(support.lua():gsub("%p", "%%%0"), "PROGRAM")
  text = text:gsub("0x%x+", "ADDRESS"):gsub("/tmp/lua_%w+", "SCRIPT")
  return (text:gsub("\n\t%[C%]: in %?", ""))
end

---Runs the same on both and expects the same; gives what they print.
local function same(args, options)
  local out1, err1, code1 = run("lua5.4", args, options)
  local out2, err2, code2 = run("halo", args, options)
  assert.are.equal(neutral(out1), neutral(out2))
  assert.are.equal(neutral(err1), neutral(err2))
  assert.are.equal(code1, code2)
  return out2, err2, code2
end

local function same_script(code, options)
  options = options or {}
  options.name = os.tmpname()
  local args = { options.name, table.unpack(options.args or {}) }
  support.write(options.name, code)
  local out, err, status = same(args, options)
  os.remove(options.name)
  return out, err, status
end

describe("the command line", function()
  it("runs -e statements in their order", function()
    local out = same { "-e", "x = 1", "-e", "print(x, ...)" }
    assert.are.equal("1\n", out)
    same { "-ex = 2", "-eprint(x)" }
  end)

  it("requires -l libraries into globals", function()
    same { "-l", "string", "-e", "print(string.rep('x', 3))" }
    same { "-l", "s=string", "-e", "print(s == string)" }
    same { "-ls=string", "-e", "print(s == string)" }
    same { "-l", "spec.command.one", "-e", "print(_G['spec.command.one'])" }
  end)

  it("shows a module that is missing as lua5.4 does", function()
    local _, err, code = run("halo", { "-l", "no.such.module" })
    assert.are.equal(1, code)
    assert.matches("module 'no.such.module' not found:", err, 1, true)
    assert.matches("no file '/usr/local/share/lua/5.4/no/such/module.lua'", err, 1, true)
  end)

  it("sets arg with negative indices", function()
    local code = [[for i = -9, 9 do if arg[i] then print(i, (arg[i]:gsub(".*/", ""))) end end print(...)]]
    local path = support.write(os.tmpname(), code)
    local out = run("halo", { "-e", "local x", "-W", path, "a", "b" })
    local name = path:gsub(".*/", "")
    assert.are.equal("-4\thalo\n-3\t-e\n-2\tlocal x\n-1\t-W\n0\t" .. name
      .. "\n1\ta\n2\tb\na\tb\n", out)
    os.remove(path)
    run("halo", { "-e", "assert(arg[0] and arg[1] == '-e')" })
  end)

  it("runs standard input", function()
    same({ "-" }, { stdin = "print(arg[0], ...)" })
    same({ "-", "a", "b" }, { stdin = "print(arg[0], ...)" })
    same({}, { stdin = "print(arg[0] ~= nil, ...)" })
  end)

  it("ends with 1 where standard input cannot be loaded", function()
    local _, err, code = run("halo", {}, { stdin = "x x" })
    assert.matches("stdin:1: syntax error near 'x'", err, 1, true)
    assert.are.equal(1, code)
  end)

  it("does not read standard input with -v or -e", function()
    local _, _, code = run("halo", { "-v" }, { stdin = "os.exit(9)" })
    assert.are.equal(0, code)
    same({ "-e", "print(io.read())" }, { stdin = "os.exit(9)" })
  end)

  it("skips a #! line", function()
    same_script("#!/usr/bin/env lua5.4\nprint('here') error('there')")
  end)

  it("knows where options end", function()
    same { "--", "spec/command/one.lua" }
    same({ "-e", "print(1)", "--", "-" }, { stdin = "print(2)" })
    same { "-e", "print(1)", "--" }
  end)

  it("refuses options that are wrong, and shows its usage", function()
    for _, args in ipairs { { "-x" }, { "-e" }, { "-l" }, { "-vv" }, { "--none" }, { "-e", "-v" }, { "-Ex" } } do
      local _, theirs, code = run("lua5.4", args)
      local out, ours, status = run("halo", args)
      assert.are.equal(code, status)
      assert.are.equal("", out)
      assert.are.equal(neutral(theirs):match("[^\n]*"), neutral(ours):match("[^\n]*"))
      assert.matches("usage: ", ours, 1, true)
    end
  end)

  it("shows Halo's version and Lua's", function()
    local out, _, code = run("halo", { "-v" })
    assert.are.equal(0, code)
    assert.matches("^Halo %d+%.%d+%.%d+\nLua 5%.4%.%d+ ", out)
  end)

  it("obeys LUA_INIT, unless -E is given", function()
    same({ "-e", "print(x)" }, { env = { LUA_INIT = "x = 5" } })
    same({ "-e", "print(x)" }, { env = { LUA_INIT = "x = 5", LUA_INIT_5_4 = "x = 6" } })
    same({ "-e", "print(x)" }, { env = { LUA_INIT = "@spec/command/init.lua" } })
    same({ "-E", "-e", "print(x)" }, { env = { LUA_INIT = "x = 5" } })
    same({ "-e", "print(x)" }, { env = { LUA_INIT = "x x" } })
    same({ "-e", "print(x)" }, { env = { LUA_INIT = "@spec/command/absent.lua" } })
    same({ "-E", "-e", "print(package.path == os.getenv 'LUA_PATH_5_4')" }, { env = { LUA_PATH_5_4 = "x" } })
  end)

  it("has lua5.4's package.path and package.cpath", function()
    local env = { LUA_PATH_5_4 = ";;", LUA_CPATH_5_4 = ";;" }
    same({ "-e", "print(package.path, package.cpath, package.config)" }, { env = env })
    same({ "-E", "-e", "print(package.path, package.cpath)" })
  end)

  it("turns warnings on with -W", function()
    same { "-W", "-e", "warn('careful')" }
    same { "-e", "warn('careful')" }
  end)

  it("has lua5.4's globals and libraries, and no others", function()
    same { "-e", [[
      local names = {}
      for k, v in pairs(_G) do
        names[#names + 1] = k
        if type(v) == "table" and v ~= _G and k ~= "package" and k ~= "arg" then
          for name in pairs(v) do names[#names + 1] = k .. "." .. name end
        end
      end
      table.sort(names)
      print(table.concat(names, "\n"))]] }
  end)
end)

describe("errors", function()
  it("carry the program's name and a traceback", function()
    same { "-e", "error 'x'" }
    same_script "local function f() error('boo') end\nf()"
    same_script "local t = nil\nreturn t.x"
  end)

  it("that are no strings are told as lua5.4 tells them", function()
    same { "-e", "error(nil)" }
    same { "-e", "error(42)" }
    same_script "error(true)"
    local _, err, code = run("halo", { "-e", "error(setmetatable({}, {__tostring = function() return 'mine' end}))" })
    assert.are.equal(1, code)
    assert.matches("mine", err, 1, true)
  end)

  it("in what cannot be loaded have no traceback", function()
    same { "-e", "x x" }
    same { "spec/command/absent.lua" }
    same_script "for"
  end)

  it("end it before what comes next", function()
    same { "-e", "error 'x'", "-e", "print 'not me'" }
    same { "-e", "x x", "-e", "print 'not me'" }
    local out, _, code = run_script("halo", [[
      require("halo.timers").set_timeout(function() print "not me" end, 0.01)
      error "end"]])
    assert.are.equal("", out)
    assert.are.equal(1, code)
  end)

  it("in a callback end the process with 1", function()
    local _, err, code = run_script("halo", [[
      local timers = require "halo.timers"
      timers.set_timeout(function() error "late" end, 0.01)
      timers.set_timeout(function() print "not me" end, 5)]])
    assert.are.equal(1, code)
    assert.matches("late\nstack traceback:", err, 1, true)
  end)
end)

describe("exit codes", function()
  it("are os.exit's", function()
    same { "-e", "os.exit(7)" }
    same { "-e", "os.exit(true)" }
    same { "-e", "os.exit(false)" }
    same { "-e", "io.write 'kept' os.exit(0, true)" }
    same { "-e", "pcall(os.exit, 3)" }
    same { "-e", "coroutine.wrap(function() os.exit(4, true) end)()" }
    same { "-e", "table.sort({1, 2}, function() os.exit(5) end)" }
  end)

  it("are os.exit's in a task that has waited", function()
    local out, err, code = run_script("halo", [[
      local halo = require "halo"
      halo.spawn(function() halo.sleep(0.01) io.write "kept" os.exit(9, true) end)
      halo.sleep(5)]])
    assert.are.equal("kept", out)
    assert.are.equal("", err)
    assert.are.equal(9, code)
  end)

  it("run finalizers with os.exit(code, true), and not without", function()
    same { "-e", "setmetatable({}, {__gc = function() print 'gc' end}) os.exit(2, true)" }
    same { "-e", "setmetatable({}, {__gc = function() print 'gc' end}) os.exit(2)" }
    same { "-e", "setmetatable({}, {__gc = function() print 'gc' end})" }
  end)

  it("is 13 where the main chunk waits for what cannot come", function()
    local _, err, code = run("halo", { "-e",
      "require('halo').await((require('halo.promise').with_resolvers()))" })
    assert.are.equal(13, code)
    assert.matches("still waits", err, 1, true)
  end)

  it("is the shell's for a signal that nobody handles", function()
    for name, number in pairs { TERM = 15, HUP = 1, USR1 = 10 } do
      local _, _, code = run("halo", { "-e",
        ("os.execute('kill -%s ' .. require('halo.process').pid) require('halo').sleep(5)"):format(name) })
      assert.are.equal(128 + number, code)
    end
  end)
end)

describe("the main chunk", function()
  it("is a task that may wait, in -e, -l, LUA_INIT and the script", function()
    local sleep = "require('halo').sleep(0.001) "
    local out, err, code = run_script("halo", sleep .. "print('script', ...)", {
      options = { "-e", sleep .. "print 'e'", "-l", "spec.command.waits" },
      args = { "a" },
      env = { LUA_INIT = sleep .. "print 'init'", LUA_PATH_5_4 = "./?.lua" },
    })
    assert.are.equal("", err)
    assert.are.equal("init\ne\nmodule\nscript\ta\n", out)
    assert.are.equal(0, code)
  end)

  it("looks like a main thread", function()
    same { "-e", "print(select(2, coroutine.running()), coroutine.isyieldable())" }
    same { "-e", "print(pcall(coroutine.yield, 1))" }
    same { "-e", "coroutine.yield()" }
    same { "-e", "print(coroutine.resume(coroutine.running()))" }
    same { "-e", "print(coroutine.status((coroutine.running())))" }
    same { "-e", "print(coroutine.close(coroutine.running()))" }
  end)

  it("is followed by all that it has begun", function()
    local out = run("halo", { "-e", [[
      local halo = require "halo"
      halo.spawn(function() halo.sleep(0.01) print "task" end)
      require("halo.timers").set_timeout(print, 0.02, "timer")
      print "main"]] })
    assert.are.equal("main\ntask\ntimer\n", out)
  end)
end)

describe("halo -i", function()
  -- Both print prompts; lua5.4's may echo the lines as well.
  local function talk(lines, args)
    local out, err, code = run("halo", args or { "-i" }, { stdin = lines })
    return out:gsub("^Halo[^\n]*\nLua[^\n]*\n", ""), err, code
  end

  it("shows expressions, with = too, and keeps globals", function()
    local out, err, code = talk "x = 20\nx + 1\n=x, 'y'\nprint(x)\n\nlocal y = 1\ny\n"
    assert.are.equal("> > 21\n> 20\ty\n> 20\n> > > nil\n> \n", out)
    assert.are.equal("", err)
    assert.are.equal(0, code)
  end)

  it("takes statements of several lines", function()
    assert.are.equal("> >> >> 1\n> \n", (talk "if true then\nprint(1)\nend\n"))
    assert.are.equal("> >> > \n", (talk "for i = 1, 2 do\n"))
  end)

  it("goes on after errors, which it prints as lua5.4 does", function()
    local lines = "error 'boo'\nx x\nerror {}\nlocal function f() error 'deep' end f()\nprint 'on'\n"
    local out, err = talk(lines)
    local _, theirs = run("lua5.4", { "-i" }, { stdin = lines })
    assert.matches("on\n", out, 1, true)
    assert.are.equal(neutral(theirs), neutral(err))
  end)

  it("has _PROMPT and _PROMPT2", function()
    assert.are.equal("> a: 1\na: b: 2\na: \n", (talk "_PROMPT = 'a: ' _PROMPT2 = 'b: '\n1\nprint(1 +\n1)\n"))
  end)

  it("lets a line wait while timers run", function()
    local out = talk [[
halo = require "halo"
t = halo.timers.set_timeout(print, 0.01, "timer")
halo.sleep(0.05)
print "after"
]]
    assert.are.equal("> > > timer\n> after\n> \n", out)
  end)

  it("survives errors in callbacks", function()
    local out, err = talk [[
halo = require "halo"
t = halo.timers.set_timeout(function() error "late" end, 0.001)
halo.sleep(0.03) print "on"
]]
    assert.matches("on\n", out, 1, true)
    assert.matches("stdin:1: late\nstack traceback:", err, 1, true)
  end)

  it("runs the script first", function()
    local path = support.write(os.tmpname(), "x = 'of the script'")
    assert.are.equal("> of the script\n> \n", (talk("x\n", { "-i", path })))
    os.remove(path)
  end)
end)

describe("halo --why-alive", function()
  it("names what keeps the process up", function()
    local out, err = run("halo", { "--why-alive", "-e",
      "require('halo.timers').set_timeout(print, 0.03, 'done')" })
    assert.are.equal("done\n", out)
    assert.matches("kept alive by\n  timer ", err, 1, true)
  end)

  it("says nothing where nothing does", function()
    local _, err = run("halo", { "--why-alive", "-e", "print(1)" })
    assert.are.equal("", err)
  end)
end)

describe("halo test", function()
  local env = { LUA_PATH_5_4 = "./?.lua;;" }
  local function test(...)
    return run("halo", { "test", "--timeout=0.5", ... }, { env = env })
  end

  it("runs busted with each it in a task, and tells what each left open", function()
    local out, err, code = test("-o", "plainTerminal", "spec/command/tested.lua")
    assert.matches("2 successes / 1 failure / 2 errors / 1 pending", out, 1, true)
    assert.matches("spec/command/tested.lua:14: too late", out, 1, true)
    assert.matches("took more than 0.5 s", out, 1, true)
    assert.matches("left open by\n  spec/command/tested.lua:17: a group leaves a timer\n    timer 60", err, 1, true)
    assert.are.equal(1, code)
  end)

  it("passes busted's options on", function()
    local out, _, code = test("-o", "TAP", "--filter", "waits", "spec/command/tested.lua")
    assert.are.equal("ok 1 - a group waits\n1..1\n", out)
    assert.are.equal(0, code)
  end)
end)

describe("halo --watch", function()
  it("runs the script anew when a file that it uses changes", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    support.write(directory .. "/part.lua", "return 'first'")
    support.write(directory .. "/main.lua", [[
      print((require "part"))
      io.stdout:flush()
      if require "part" == "first" then
        require("halo").sleep(0.3) -- until the watcher knows the files
        local file = io.open("part.lua", "w")
        file:write("return 'second'")
        file:close()
        require("halo").sleep(60)
      end
      os.execute("read _ _ _ watcher _ </proc/$PPID/stat; kill -TERM $watcher")
      require("halo").sleep(60)]])
    local out, _, code = run("halo", { "--watch", "main.lua" },
      { cwd = directory, env = { LUA_PATH_5_4 = "./?.lua;;" } })
    os.execute("rm -r " .. directory)
    assert.are.equal("first\nsecond\n", out)
    assert.are.equal(143, code)
  end)
end)
