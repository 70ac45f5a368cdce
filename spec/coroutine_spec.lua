-- User coroutines answer as in stock Lua: each script prints the same under
-- lua5.4 and, as the main chunk and in a spawned task, under halo; and in
-- stock Lua after halo.install{coroutine=true}.
local support = require("spec.support")

local path = support.temporary()

-- Ways to run a script beside stock Lua's own: host and what runs `path`.
local others = {
  ["halo"] = { "halo" },
  ["halo, in a task"] = { "halo", ('require("halo").await(require("halo").spawn(assert(loadfile(%q))))'):format(path) },
  ["lua5.4, installed"] = {
    "lua5.4",
    ('local halo = require("halo"); halo.install({ coroutine = true }); halo.run(assert(loadfile(%q)))'):format(path),
  },
}

local function run(host, code, wrapper)
  support.write(path, code)
  local out, err, status
  if wrapper then
    out, err, status = support.run_script(host, wrapper)
  else
    out, err, status = support.run(host, { path })
  end
  os.remove(path)
  return out, err, status
end

local function same(title, code)
  local wanted
  for name, way in pairs(others) do
    it(title .. " (" .. name .. ")", function()
      if not wanted then
        local out, err, status = run("lua5.4", code)
        assert.equal("", err)
        assert.equal(0, status)
        assert.is_true(#out > 0)
        wanted = out
      end
      local out, err, status = run(way[1], code, way[2])
      assert.equal("", err)
      assert.equal(wanted, out)
      assert.equal(0, status)
    end)
  end
end

-- A script that ends with an error: also the message, but for the program's
-- name and what stands below the script's own levels.
local function same_failure(title, code)
  it(title, function()
    local wanted_out, wanted_err, wanted_status = run("lua5.4", code)
    local out, err, status = run("halo", code)
    assert.equal(1, wanted_status)
    assert.equal(wanted_status, status)
    assert.equal(wanted_out, out)
    local function message(text)
      return text:gsub("^[^:]*lua5.4: ", ""):gsub("^[^:]*halo: ", ""):match("^[^\n]*")
    end
    assert.equal(message(wanted_err), message(err))
  end)
end

describe("coroutine.running and isyieldable", function()
  same("in the main chunk", [[
local co, main = coroutine.running()
print(type(co), main, coroutine.isyieldable(), coroutine.isyieldable(co))
print(coroutine.status(co), co == coroutine.running())
print(select("#", coroutine.running()))
]])

  same("in a function called by pcall, a metamethod, sort and gsub", [[
local function look() print(select(2, coroutine.running()), coroutine.isyieldable()) return "x" end
pcall(look)
xpcall(look, print)
local t = setmetatable({}, { __index = look, __add = look, __call = look })
local _ = t.x, t + 1, t()
string.gsub("x", "x", look)
for _ in look do break end
]])

  same("in a coroutine", [[
local main = coroutine.running()
local co
co = coroutine.create(function()
  local self, is_main = coroutine.running()
  print(self == co, is_main, self == main, coroutine.isyieldable(), coroutine.isyieldable(main))
  string.gsub("x", "x", function() print(coroutine.isyieldable()) end)
  table.sort({ 1, 2 }, function() print(coroutine.isyieldable()) return false end)
  coroutine.yield()
  print(coroutine.isyieldable(co))
end)
print(coroutine.isyieldable(co))
coroutine.resume(co)
print(coroutine.isyieldable(co))
coroutine.resume(co)
print(coroutine.isyieldable(co))
coroutine.wrap(function() print(select(2, coroutine.running()), coroutine.isyieldable()) end)()
]])

  same("in coroutines inside each other", [[
local list = {}
local function nest(n)
  list[n] = coroutine.running()
  if n == 5 then
    for i = 1, 5 do print(i, coroutine.status(list[i])) end
    return
  end
  coroutine.wrap(nest)(n + 1)
end
coroutine.wrap(nest)(1)
for i = 1, 5 do print(i, coroutine.status(list[i])) end
]])
end)

describe("coroutine.status", function()
  same("suspended, running, normal, dead", [[
local co, other
co = coroutine.create(function()
  print("running:", coroutine.status(co))
  other = coroutine.create(function() print("normal:", coroutine.status(co)) end)
  coroutine.resume(other)
  print("dead:", coroutine.status(other))
  coroutine.yield()
  error("x")
end)
print(coroutine.status(co))
coroutine.resume(co)
print(coroutine.status(co))
print((coroutine.resume(co)))
print(coroutine.status(co))
local main = coroutine.running()
coroutine.wrap(function() print("main:", coroutine.status(main)) end)()
print("main:", coroutine.status(main))
]])

  same("bad arguments", [[
for _, name in ipairs({ "status", "resume", "close", "isyieldable" }) do
  for _, v in ipairs({ 5, "x", {}, print, false }) do
    print(name, pcall(coroutine[name], v))
  end
end
print(pcall(coroutine.status))
print(pcall(coroutine.resume))
print(pcall(coroutine.close))
print(pcall(coroutine.create))
print(pcall(coroutine.create, 5))
print(pcall(coroutine.create, setmetatable({}, { __call = print })))
print(pcall(coroutine.wrap))
print(pcall(coroutine.wrap, {}))
print(pcall(coroutine.resume, nil))
]])
end)

describe("coroutine.resume and yield", function()
  same("pass values both ways", [[
local co = coroutine.create(function(...)
  print("args", select("#", ...), ...)
  print("got", coroutine.yield())
  print("got", coroutine.yield(nil))
  print("got", select("#", coroutine.yield(1, nil, 3, nil)))
  return "end", nil
end)
print(coroutine.resume(co, 1, nil, nil))
print(coroutine.resume(co))
print(coroutine.resume(co, "a", "b"))
print(select("#", coroutine.resume(co, nil, nil)))
print(coroutine.resume(co))
print(coroutine.resume(co))
]])

  same("of a C function", [[
print(coroutine.resume(coroutine.create(print), 1, 2))
print(coroutine.resume(coroutine.create(math.max), 1, 5, 3))
local co = coroutine.create(coroutine.yield)
print(coroutine.resume(co, 1, 2))
print(coroutine.resume(co, 3, 4))
print(coroutine.status(co))
print(coroutine.resume(coroutine.create(pcall), error, "x"))
local p = coroutine.create(pcall)
print(coroutine.resume(p, coroutine.yield, "in pcall"))
print(coroutine.resume(p, "back"))
print(coroutine.wrap(select)("#", nil, nil))
]])

  same("of oneself, a normal one, a dead one, the main one", [[
local co
co = coroutine.create(function()
  print(coroutine.resume(co))
  coroutine.wrap(function() print(coroutine.resume(co)) end)()
  return "end"
end)
print(coroutine.resume(co))
print(coroutine.resume(co))
print(coroutine.resume(coroutine.running()))
local main = coroutine.running()
coroutine.wrap(function() print(coroutine.resume(main)) end)()
local w
w = coroutine.wrap(function() print(pcall(w)) end)
w()
print(pcall(w))
]])

  same("many values", [[
local n = 200
local list = {}
for i = 1, n do list[i] = i end
local co = coroutine.wrap(function(...)
  local args = { ... }
  while true do args = { coroutine.yield(table.unpack(args)) } end
end)
print(select("#", co(table.unpack(list))), (select(n, co(table.unpack(list)))))
local big = {}
for i = 1, 100000 do big[i] = i end
print(select("#", coroutine.wrap(function() return table.unpack(big) end)()))
local ok, err = coroutine.resume(coroutine.create(function() return table.unpack(big, 1, 999990) end))
print(ok, ok and "" or err)
]])

  same("yields across pcall, xpcall and error", [[
local co = coroutine.wrap(function()
  print(pcall(function()
    print(coroutine.yield("in pcall"))
    error("reason", 0)
  end))
  print(xpcall(function(...)
    print(..., coroutine.yield("in xpcall"))
    error({ "x" })
  end, function(e) return type(e) end, "argument"))
  print(pcall(pcall, function() coroutine.yield("twice") error("e", 0) end))
  print(select(2, pcall(error, coroutine.yield("as an argument"))))
  return "end"
end)
print(co()) print(co("a")) print(co("b")) print(co("c")) print(co("d"))
print(pcall(co))
]])

  same("yields across metamethods", [[
local mt = {}
for _, name in ipairs({ "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl",
  "shr", "bnot", "concat", "len", "eq", "lt", "le", "index", "newindex", "call", "close" }) do
  mt["__" .. name] = function() return coroutine.yield(name) end
end
local function new() return setmetatable({}, mt) end
local a, b = new(), new()
local co = coroutine.wrap(function()
  print(a + b, a - b, a * b, a / b, a % b, a ^ b, -a, a // b, a & b, a | b, a ~ b, a << b, a >> b, ~a)
  print(a .. b, "x" .. a, a .. "x" .. b, #a)
  print(a == b, a ~= b, a < b, a <= b, a > b, not (a >= b))
  print(a.x, a[1], a(1))
  a.x = 1
  do local c <close> = new() end
  if a < b then print("then") else print("else") end
  while a == b do print("loop") break end
  return "end"
end)
local n = 0
while true do
  n = n + 1
  local r = co(n % 3 > 0 and n or nil)
  io.write(r, " ")
  if r == "end" then break end
end
print(n)
]])

  same("yields across iterators, numeric loops and varargs", [[
local co = coroutine.wrap(function(...)
  for i in coroutine.yield, "state", 0 do
    print("iterated", i)
    if i == 2 then break end
  end
  for i = coroutine.yield("start"), coroutine.yield("limit"), coroutine.yield("step") do print("i", i) end
  local t = { coroutine.yield("constructor"), n = coroutine.yield("field"), ... }
  print(#t, t.n, t[1])
  return select("#", ...)
end)
print(co("v", "w"))
print(co(1)) print(co(2))
print(co(1)) print(co(5)) print(co(2))
print(co("c")) print(co("f"))
]])

  same("generators", [[
local function permutations(list)
  local function permute(n)
    if n == 0 then coroutine.yield(table.concat(list, " ")) end
    for i = 1, n do
      list[n], list[i] = list[i], list[n]
      permute(n - 1)
      list[n], list[i] = list[i], list[n]
    end
  end
  return coroutine.wrap(function() permute(#list) end)
end
for p in permutations({ "a", "b", "c" }) do print(p) end
local function numbers() for i = 2, math.huge do coroutine.yield(i) end end
local function filter(p, g)
  return coroutine.wrap(function() while true do local n = g() if n % p ~= 0 then coroutine.yield(n) end end end)
end
local x = coroutine.wrap(numbers)
for _ = 1, 12 do local n = x() io.write(n, " ") x = filter(n, x) end
print()
]])
end)

describe("errors:", function()
  same("error objects come out as they were raised", [[
local object = {}
for _, v in ipairs({ object, 5, true, "text", print }) do
  local ok, err = coroutine.resume(coroutine.create(function() error(v, 0) end))
  print(ok, rawequal(err, v), type(err))
end
print(coroutine.resume(coroutine.create(function() error() end)))
print(coroutine.resume(coroutine.create(function() error(nil) end)))
print(coroutine.resume(coroutine.create(function() local x = nil; return x.y end)))
print(coroutine.resume(coroutine.create(function() return 1 + {} end)))
print(coroutine.resume(coroutine.create(function() error("with position") end)))
print(coroutine.resume(coroutine.create(function() error("level 2", 2) end)))
local printable = setmetatable({}, { __tostring = function() return "object" end })
print(select(2, coroutine.resume(coroutine.create(function() error(printable) end))))
]])

  same("wrap adds the position to strings only", [[
local function call(f) print(pcall(f)) end
call(coroutine.wrap(function() error("x") end))
call(coroutine.wrap(function() error("x", 0) end))
local w = coroutine.wrap(function() error("x") end)
call(function() w() end)
call(function() w() end)
local object = {}
print(select(2, pcall(coroutine.wrap(function() error(object) end))) == object)
call(coroutine.wrap(function() error() end))
call(coroutine.wrap(function() return nil .. "x" end))
local outer = coroutine.wrap(function()
  local inner = coroutine.wrap(function() error("deep") end)
  inner()
end)
call(function() outer() end)
]])

  same("wrap closes what is pending, and its errors count", [[
local function closing(name, fails)
  return setmetatable({}, { __close = function(_, e)
    print("close", name, e)
    if fails then error("error in " .. name, 0) end
  end })
end
local w = coroutine.wrap(function()
  local a <close> = closing("a")
  local b <close> = closing("b")
  coroutine.yield("yielded")
  error("reason", 0)
end)
print(w())
print(pcall(w))
print(pcall(w))
w = coroutine.wrap(function()
  local a <close> = closing("a", true)
  local b <close> = closing("b", true)
  error("reason", 0)
end)
print(pcall(w))
print(pcall(w))
]])

  same("where yield is not allowed", [[
print(pcall(coroutine.yield))
print(pcall(coroutine.yield, 1, 2))
local co = coroutine.create(function()
  print(pcall(string.gsub, "x", "x", coroutine.yield))
  print(pcall(table.sort, { 3, 2, 1 }, coroutine.yield))
  print(pcall(tostring, setmetatable({}, { __tostring = coroutine.yield })))
  print(pcall(load, coroutine.yield))
  print(pcall(string.rep, setmetatable({}, { __index = coroutine.yield })))
  return "end"
end)
print(coroutine.resume(co))
]])

  same("a handler of xpcall runs before the coroutine is left", [[
local co = coroutine.create(function()
  return xpcall(function() error("x", 0) end, function(e)
    local ok, err = pcall(coroutine.yield, 1)
    return e .. ": " .. tostring(ok) .. ": " .. tostring(err)
  end)
end)
print(coroutine.resume(co))
]])

  same("pcall inside and outside", [[
local co = coroutine.wrap(function()
  local ok, e = pcall(function()
    local ok, e = pcall(function()
      coroutine.yield(1)
      error("inner", 0)
    end)
    coroutine.yield(e)
    error("outer", 0)
  end)
  coroutine.yield(e)
  error("last", 0)
end)
print(co()) print(co()) print(co()) print(pcall(co)) print(pcall(co))
]])

  same_failure("an error in a coroutine that wrap passes on ends the script", [[
print("begins")
local w = coroutine.wrap(function()
  error("in the coroutine")
end)
w()
]])

  same_failure("a yield of the main chunk ends the script", [[
print("begins")
coroutine.yield(1)
print("not reached")
]])
end)

describe("coroutine.close", function()
  same("of suspended, dead, failed, running and normal ones", [[
local co = coroutine.create(print)
print(coroutine.close(co), coroutine.status(co))
print(coroutine.close(co))
print(coroutine.resume(co))
co = coroutine.create(function() coroutine.yield() end)
coroutine.resume(co)
print(coroutine.close(co), coroutine.status(co))
co = coroutine.create(function() error("reason", 0) end)
coroutine.resume(co)
print(coroutine.close(co))
print(coroutine.close(co))
print(pcall(coroutine.close, coroutine.running()))
local main = coroutine.running()
coroutine.wrap(function()
  print(pcall(coroutine.close, main))
  print(pcall(coroutine.close, coroutine.running()))
end)()
co = coroutine.create(function()
  coroutine.wrap(function() print(pcall(coroutine.close, co)) end)()
end)
coroutine.resume(co)
print(coroutine.close(co))
]])

  same("runs pending to-be-closed variables", [[
local function closing(name, fails)
  return setmetatable({}, { __close = function(_, e)
    print("close", name, e, coroutine.isyieldable())
    if fails then error("error in " .. name, 0) end
  end })
end
local co = coroutine.create(function()
  local a <close> = closing("a")
  for i in function(_, i) return (i or 0) + 1 end, nil, nil, closing("for") do
    local b <close> = closing("b")
    coroutine.yield(i)
  end
end)
print(coroutine.resume(co))
print(coroutine.resume(co))
print(coroutine.close(co), coroutine.status(co))
co = coroutine.create(function()
  local a <close> = closing("a", true)
  local b <close> = closing("b")
  local c <close> = closing("c", true)
  local d <close> = nil
  local e <close> = false
  coroutine.yield()
end)
coroutine.resume(co)
print(coroutine.close(co))
print(coroutine.status(co), coroutine.close(co))
co = coroutine.create(function()
  local a <close> = closing("a", true)
  error("reason", 0)
end)
print(coroutine.resume(co))
print(coroutine.close(co))
]])

  same("closing handlers that yield when the block ends", [[
local function closing(name)
  return setmetatable({}, { __close = function(_, e)
    print("yields in", name, e, coroutine.yield(name))
  end })
end
local co = coroutine.wrap(function()
  local a <close> = closing("a")
  do
    local b <close> = closing("b")
    local c <close> = closing("c")
  end
  local ok, e = pcall(function()
    local d <close> = closing("d")
    error("reason", 0)
  end)
  print(ok, e)
  for _ in next, { 1 }, nil, closing("for") do break end
  return "end", nil, 3
end)
for i = 1, 6 do print(co(i)) end
]])

  same("a yield in a handler that close runs", [[
local co = coroutine.create(function()
  local a <close> = setmetatable({}, { __close = function() coroutine.yield("x") end })
  coroutine.yield(1)
end)
print(coroutine.resume(co))
print(coroutine.close(co))
print(coroutine.status(co))
]])
end)

describe("depth:", function()
  same("coroutines inside each other until the C stack is full", [[
local depth = 0
local function nest()
  depth = depth + 1
  local ok, err = coroutine.resume(coroutine.create(nest))
  if not ok then error(err, 0) end
end
local ok, err = coroutine.resume(coroutine.create(nest))
print(ok, err, depth > 100, depth < 300)
depth = 0
local function wrapped() depth = depth + 1 coroutine.wrap(wrapped)() end
local ok, err = pcall(wrapped)
print(ok, (err:gsub("^.*: (C stack overflow)", "%1")), depth > 50)
]])

  same("recursion without an end inside a coroutine", [[
local function f(n) return 1 + f(n + 1) end
local ok, err = coroutine.resume(coroutine.create(f), 1)
print(ok, err:match("stack overflow"))
local function g() return pcall(g) end
print(coroutine.resume(coroutine.create(function() return (g()) end)))
print(pcall(f, 1) == false)
local co = coroutine.create(function()
  pcall(f, 1)
  coroutine.yield("goes on")
  return "end"
end)
print(coroutine.resume(co))
print(coroutine.resume(co))
]])

  same("deep stacks that yield from their bottom", [[
local function down(n)
  if n == 0 then return coroutine.yield("bottom") end
  return 1 + down(n - 1)
end
local co = coroutine.wrap(down)
print(co(10000))
print(co(0))
local function deep(n)
  if n == 0 then coroutine.yield("x") return 0 end
  local ok, v = pcall(deep, n - 1)
  return v + 1
end
co = coroutine.wrap(deep)
print(co(150))
print(co())
]])

  same("many at a time, and garbage", [[
local list = {}
for i = 1, 10000 do
  list[i] = coroutine.wrap(function() local x = i while true do x = x + coroutine.yield(x) end end)
  list[i]()
end
local sum = 0
for i = 1, 10000 do sum = sum + list[i](1) end
print(sum)
list = nil
collectgarbage() collectgarbage()
local weak = setmetatable({}, { __mode = "k" })
do
  local co = coroutine.create(function(self) coroutine.yield(self) end)
  coroutine.resume(co, co)
  weak[co] = true
end
collectgarbage() collectgarbage()
print(next(weak))
]])
end)

describe("the debug library on coroutines:", function()
  same("traceback", [[
local function inner() coroutine.yield("x") end
local function outer() inner() end
local co = coroutine.create(outer)
print(debug.traceback(co))
coroutine.resume(co)
print(debug.traceback(co))
print(debug.traceback(co, nil, 1))
print(debug.traceback(co, "message"))
print(debug.traceback(co, "message", 1))
print(debug.traceback("message", 1):match("^[^\n]*\n[^\n]*\n[^\n]*"))
coroutine.resume(co)
print(debug.traceback(co))
co = coroutine.create(function() local function fails() error("reason", 0) end fails() end)
print(coroutine.resume(co))
print(debug.traceback(co))
coroutine.wrap(function()
  print(debug.traceback("inside"))
end)()
]])

  same("traceback through pcall and coroutines", [[
print(coroutine.wrap(function()
  return select(2, xpcall(function()
    local f = nil
    f()
  end, debug.traceback))
end)())
]])

  same("getinfo, getlocal, sethook of another coroutine", [[
local co = coroutine.create(function(a)
  local b = a * 2
  coroutine.yield(b)
  return b
end)
coroutine.resume(co, 21)
print(debug.getinfo(co, 1, "l").currentline, debug.getinfo(co, 0, "S").what)
print(debug.getlocal(co, 1, 1))
print(debug.getlocal(co, 1, 2))
print(debug.setlocal(co, 1, 2, "changed"))
local lines = {}
debug.sethook(co, function(_, line) lines[#lines + 1] = line end, "l")
print(coroutine.resume(co))
print(table.concat(lines, " "))
print(debug.gethook(co) ~= nil, debug.gethook())
]])

  same("names of the functions in messages", [[
print(pcall(coroutine.wrap(function() coroutine.resume() end)))
print(pcall(function() coroutine.wrap() end))
print(pcall(function() coroutine.status("x") end))
local t = { f = coroutine.wrap(function() error("x") end) }
print(pcall(function() t.f() end))
print(pcall(function() t:f() end))
]])
end)

describe("schedulers in plain Lua", function()
  same("one that resumes coroutines in turn", [[
local queue = {}
local function spawn(f, ...) local co = coroutine.create(f) queue[#queue + 1] = { co, ... } end
local function sleep(n) coroutine.yield(n) end
for _, name in ipairs({ "a", "b", "c" }) do
  spawn(function(n)
    for i = 1, n do print(name, i) sleep(i) end
    if name == "b" then error("b fails", 0) end
  end, #name + 2)
end
while #queue > 0 do
  local job = table.remove(queue, 1)
  local ok, v = coroutine.resume(table.unpack(job))
  if not ok then print("failed", v)
  elseif coroutine.status(job[1]) ~= "dead" then queue[#queue + 1] = { job[1] } end
end
]])

  same("a coroutine that passes its own yields on", [[
local function pass(co, ...)
  local r = table.pack(coroutine.resume(co, ...))
  while coroutine.status(co) ~= "dead" do
    r = table.pack(coroutine.resume(co, coroutine.yield(table.unpack(r, 2, r.n))))
  end
  return table.unpack(r, 1, r.n)
end
local co = coroutine.wrap(function()
  return pass(coroutine.create(function()
    return pass(coroutine.create(function()
      for i = 1, 3 do print("back", coroutine.yield(i)) end
      return "end"
    end))
  end))
end)
print(co()) print(co("a")) print(co("b")) print(co("c"))
]])

  same("coroutines kept across collectgarbage and table functions", [[
local co = coroutine.wrap(function()
  local s = string.rep("x", 100)
  collectgarbage()
  coroutine.yield(#s)
  local t = setmetatable({}, { __gc = function() end })
  t = nil
  collectgarbage()
  coroutine.yield(#(s .. s))
end)
print(co()) collectgarbage() print(co())
print(#table.pack(coroutine.wrap(function() return table.unpack({ 1, 2, 3 }) end)()))
table.foreach = nil
local sorted = { 3, 1, 2 }
coroutine.wrap(function() table.sort(sorted, function(a, b) return a < b end) end)()
print(table.concat(sorted, " "))
]])
end)
