-- TCP and Unix sockets, servers and connecting, on loopback.
local halo = require "halo"
local net = require "halo.net"
local support = require "spec.support"

local kinds = { ["tcp socket"] = true, ["tcp server"] = true, ["unix socket"] = true, ["unix server"] = true }

local function open_sockets()
  local n = 0
  for _, r in ipairs(halo.resources()) do
    if kinds[r.kind] or r.kind == "task" then n = n + 1 end
  end
  return n
end

local function echo(socket)
  for chunk in socket:chunks() do assert(socket:write(chunk)) end
end

---A port where nobody listens.
local function free_port()
  local server <close> = assert(net.listen { host = "127.0.0.1" })
  return server:address().port
end

local function exists(path)
  local file, _, errno = io.open(path)
  if file then file:close() end
  return errno ~= 2 -- a socket's file cannot be opened, but not for ENOENT
end

local function has(program)
  local pipe = io.popen("command -v " .. program)
  local answer = pipe:read("l")
  pipe:close()
  return answer ~= nil
end

---Runs a script in its own process, with room for so many descriptors.
local function run_limited(descriptors, code)
  return support.run_script(support.host, ([[
    if not arg[1] then
      os.exit(os.execute("ulimit -n %d; exec '" .. arg[-1] .. "' '" .. arg[0] .. "' again") and 0 or 1)
    end
  ]]):format(descriptors) .. code)
end

local before

local function settle()
  for _ = 1, 100 do
    if open_sockets() == before then return end
    halo.sleep(0.002)
  end
  local list = {}
  for i, r in ipairs(halo.resources()) do list[i] = r.kind .. " " .. r.detail end
  assert.are.equal(before, open_sockets(), table.concat(list, "\n"))
end

describe("net.connect", function()
  before_each(function() before = open_sockets() end)
  after_each(settle)

  it("connects by address, by name and by path", function()
    local path = os.tmpname()
    os.remove(path)
    local tcp <close> = assert(net.serve({ host = "127.0.0.1" }, echo))
    local guard <close> = assert(net.serve({ path = path }, echo))
    local port = tcp:address().port
    for _, opts in ipairs { { host = "127.0.0.1", port = port }, { host = "localhost", port = port },
                            { port = port }, { path = path } } do
      local s <close> = assert(net.connect(opts))
      assert(s:write("hello"))
      assert.are.equal("hello", s:read_exactly(5))
    end
  end)

  it("connects to IPv6, if there is any", function()
    local server <close> = net.serve({ host = "::1" }, echo)
    if not server then return end
    local s <close> = assert(net.connect { host = "::1", port = server:address().port })
    assert.are.same({ address = "::1", port = server:address().port, family = 6 }, s:remote_address())
    assert(s:write("six"))
    assert.are.equal("six", s:read())
  end)

  it("knows both its addresses", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    local s <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
    local peer <close> = assert(server:accept())
    assert.are.same(server:address(), s:remote_address())
    assert.are.same(s:local_address(), peer:remote_address())
    assert.are.same(s:remote_address(), peer:local_address())
    assert.are.equal(4, s:local_address().family)
    s:close()
    assert.are.equal("EBADF", select(2, s:remote_address()).code)
    assert.are.equal("EBADF", select(2, s:local_address()).code)
  end)

  it("connects from a local address", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    local port = free_port()
    local s <close> = assert(net.connect {
      host = "127.0.0.1", port = server:address().port,
      local_address = { address = "127.0.0.2", port = port },
    })
    assert.are.same({ address = "127.0.0.2", port = port, family = 4 }, s:local_address())
    local other <close> = assert(net.connect {
      host = "127.0.0.1", port = server:address().port, local_address = "127.0.0.3",
    })
    assert.are.equal("127.0.0.3", other:local_address().address)
    local none, err = net.connect { host = "127.0.0.1", port = server:address().port, local_address = "192.0.2.1" }
    assert.is_nil(none)
    assert.are.equal("EADDRNOTAVAIL", err.code)
  end)

  it("tells who refused", function()
    local port = free_port()
    local s, err = net.connect { host = "127.0.0.1", port = port }
    assert.is_nil(s)
    assert.are.equal("ECONNREFUSED", err.code)
    assert.are.equal("connect", err.syscall)
    assert.are.equal("connect", err.stage)
    assert.are.equal("127.0.0.1", err.address)
    assert.are.equal("127.0.0.1", err.host)
    assert.are.equal(port, err.port)
    assert.is_true(err.errno > 0)
  end)

  it("lists every attempt where several addresses failed", function()
    local port = free_port()
    local s, err = net.connect { host = "localhost", port = port }
    assert.is_nil(s)
    assert.are.equal("ECONNREFUSED", err.code)
    assert.are.equal("localhost", err.host)
    for _, e in ipairs(err.errors or {}) do assert.are.equal(port, e.port) end
  end)

  it("gives ENOTFOUND for a name that is none", function()
    for _, host in ipairs { "no-such-host.invalid", "", "a b", "x\0y", ("x"):rep(64) .. ".org", ("x."):rep(127) .. "xx" } do
      local s, err = net.connect { host = host, port = 80, timeout = 5 }
      assert.is_nil(s)
      assert.are.equal("ENOTFOUND", err.code)
      assert.are.equal("resolve", err.stage)
    end
  end)

  it("gives ENOENT for a path that is not there", function()
    local s, err = net.connect { path = "/nonexistent/socket" }
    assert.is_nil(s)
    assert.are.equal("ENOENT", err.code)
    assert.are.equal("/nonexistent/socket", err.path)
    assert.are.equal("ENAMETOOLONG", select(2, net.connect { path = "/" .. ("x"):rep(200) }).code)
  end)

  -- A listening socket whose queue is full answers no more.
  local function crowded()
    local server = assert(net.listen { host = "127.0.0.1", backlog = 1 })
    local port, crowd = server:address().port, {}
    for i = 1, 10 do
      crowd[i] = net.connect { host = "127.0.0.1", port = port, timeout = 0.05 }
      if not crowd[i] then break end
    end
    return server, port, function()
      for _, s in ipairs(crowd) do s:close() end
      server:close()
    end
  end

  it("times out", function()
    local _, port, clear = crowded()
    local s, err = net.connect { host = "127.0.0.1", port = port, timeout = 0.02 }
    assert.is_nil(s)
    assert.are.equal("ETIMEDOUT", err.code)
    assert.are.equal("connect", err.stage)
    assert.are.equal(port, err.port)
    clear()
  end)

  it("may be cancelled", function()
    local _, port, clear = crowded()
    local task = halo.spawn(function() return net.connect { host = "127.0.0.1", port = port } end)
    halo.sleep(0.01)
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.is_true(halo.is_error(err, "ECANCELED"))
    task = halo.spawn(function() return net.connect { host = "no-such-host.invalid", port = port } end)
    halo.yield()
    task:cancel()
    assert.is_false(pcall(task.await, task))
    clear()
  end)

  it("sets options", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    local s <close> = assert(net.connect {
      host = "127.0.0.1", port = server:address().port, no_delay = false, keep_alive = 30,
    })
    assert.is_true(s:set_no_delay())
    assert.is_true(s:set_no_delay(false))
    assert.is_true(s:set_keep_alive())
    assert.is_true(s:set_keep_alive(10))
    assert.is_true(s:set_keep_alive(false))
    assert.has_error(function() s:set_no_delay(1) end)
    assert.has_error(function() s:set_keep_alive(0) end)
    assert.has_error(function() s:set_keep_alive("x") end)
    s:close()
    assert.are.equal("EBADF", select(2, s:set_no_delay(true)).code)
    assert.are.equal("EBADF", select(2, s:set_keep_alive(true)).code)
  end)

  it("raises at the caller's line for bad options", function()
    local bad = {
      { 1 }, { host = "127.0.0.1" }, { port = 80, timeot = 1 }, { port = -1 }, { port = 65536 }, { port = "80" },
      { port = 1.5 }, { host = 1, port = 1 }, { path = "" }, { path = "x\0" }, { path = "x", port = 1 },
      { port = 1, timeout = -1 }, { port = 1, timeout = 0 / 0 }, { port = 1, timeout = "1" },
      { port = 1, keep_alive = "x" }, { port = 1, local_address = "localhost" }, { port = 1, no_delay = 1 },
    }
    for i, opts in ipairs(bad) do
      local ok, err = pcall(function()
        local s = net.connect(opts)
        return s
      end)
      assert.is_false(ok, "case " .. i)
      assert.is_truthy(tostring(err):find("^spec/net_spec.lua:%d+: bad argument #1 to 'connect'"), tostring(err))
    end
    assert.has_error(function() net.connect() end)
    assert.has_error(function() net.connect("127.0.0.1", 80) end)
  end)
end)

describe("net.serve", function()
  before_each(function() before = open_sockets() end)
  after_each(settle)

  local function connect(server)
    return assert(net.connect { host = "127.0.0.1", port = server:address().port })
  end

  it("handles each connection in a task, and closes it after", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, function(socket)
      socket:write("hello ", socket:read_line(), "\n")
    end))
    local a <close> = connect(server)
    local b <close> = connect(server)
    b:write("b\n")
    assert.are.equal("hello b\n", b:read_all())
    a:write("a\n")
    assert.are.equal("hello a\n", a:read_all())
    halo.yield()
    assert.are.equal(0, server:connections())
  end)

  it("goes on when a handler raises, and tells of it", function()
    local out, err, code = support.run_script(support.host, [[
      local halo, net = require "halo", require "halo.net"
      local server = assert(net.serve({ host = "127.0.0.1" }, function(socket)
        if socket:read_line() == "bad" then error("handler's trouble") end
        socket:write("good")
      end))
      for _, word in ipairs { "bad", "fine" } do
        local s <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
        s:write(word, "\n")
        print(s:read_all())
      end
      server:close()
    ]])
    assert.are.equal("\ngood\n", out)
    assert.is_truthy(err:find("handler's trouble", 1, true))
    assert.is_truthy(err:find("stack traceback", 1, true))
    assert.are.equal(0, code)
  end)

  it("tells its address and counts its connections", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1", port = 0 }, echo))
    local address = server:address()
    assert.are.equal("127.0.0.1", address.address)
    assert.are.equal(4, address.family)
    assert.is_true(address.port > 0)
    assert.are.equal(0, server:connections())
    local s <close> = connect(server)
    s:write("x")
    s:read()
    assert.are.equal(1, server:connections())
    s:close()
    halo.sleep(0.01)
    assert.are.equal(0, server:connections())
  end)

  it("listens on all addresses unless told", function()
    local server <close> = assert(net.serve({}, echo))
    local s <close> = connect(server)
    s:write("x")
    assert.are.equal("x", s:read())
    assert.are.same({ address = "127.0.0.1", port = server:address().port, family = 4 }, s:remote_address())
  end)

  it("closes: connections go on, new ones are refused", function()
    local server = assert(net.serve({ host = "127.0.0.1" }, echo))
    local port = server:address().port
    local s <close> = connect(server)
    s:write("x")
    s:read()
    assert.is_true(server:close())
    assert.is_true(server:close())
    assert.are.equal("EBADF", select(2, server:address()).code)
    assert.are.equal(0, server:connections())
    s:write("still")
    assert.are.equal("still", s:read())
    assert.are.equal("ECONNREFUSED", select(2, net.connect { host = "127.0.0.1", port = port }).code)
    local again <close> = assert(net.serve({ host = "127.0.0.1", port = port }, echo))
    assert.are.equal(port, again:address().port)
  end)

  it("may be closed in its own handler", function()
    local server
    server = assert(net.serve({ host = "127.0.0.1" }, function(socket)
      server:close()
      socket:write("last")
    end))
    local s <close> = connect(server)
    assert.are.equal("last", s:read_all())
  end)

  it("lets a handler close, and take, its socket", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, function(socket)
      socket:close()
      assert.are.equal("EBADF", select(2, socket:write("x")).code)
    end))
    local s <close> = connect(server)
    assert.are.equal("", s:read_all())
  end)

  it("lives on when dropped", function()
    local weak = setmetatable({}, { __mode = "v" })
    weak[1] = assert(net.serve({ host = "127.0.0.1" }, echo))
    collectgarbage()
    collectgarbage()
    local s <close> = connect(weak[1])
    s:write("there?")
    assert.are.equal("there?", s:read())
    weak[1]:close()
    s:close()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("keeps at most max_connections, and the others wait", function()
    local most, now = 0, 0
    local server <close> = assert(net.serve({ host = "127.0.0.1", max_connections = 2 }, function(socket)
      now = now + 1
      most = math.max(most, now)
      halo.sleep(0.003)
      socket:write("served")
      now = now - 1
    end))
    local tasks = {}
    for i = 1, 9 do
      tasks[i] = halo.spawn(function()
        local s <close> = connect(server)
        return s:read_all()
      end)
    end
    for i = 1, 9 do assert.are.equal("served", tasks[i]:await()) end
    assert.are.equal(2, most)
  end)

  it("gives EADDRINUSE for a port that is taken, and shares it with reuse_port", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, echo))
    local port = server:address().port
    local other, err = net.serve({ host = "127.0.0.1", port = port }, echo)
    assert.is_nil(other)
    assert.are.equal("EADDRINUSE", err.code)
    assert.are.equal("127.0.0.1", err.address)
    assert.are.equal(port, err.port)
    assert.are.equal("bind", err.syscall)
    local one <close> = assert(net.serve({ host = "127.0.0.1", reuse_port = true }, echo))
    local two <close> = assert(net.serve({ host = "127.0.0.1", reuse_port = true, port = one:address().port }, echo))
    assert.are.equal(one:address().port, two:address().port)
  end)

  it("raises for bad arguments", function()
    assert.has_error(function() net.serve({ prot = 1 }, echo) end,
      "bad argument #1 to 'serve' (unknown option 'prot')")
    assert.has_error(function() net.serve({ port = 0 }) end)
    assert.has_error(function() net.serve({ port = 0 }, "echo") end)
    assert.has_error(function() net.serve({ port = 0 }, io.stdout) end)
    assert.has_error(function() net.serve({ backlog = 0 }, echo) end)
    assert.has_error(function() net.serve({ max_connections = 0 }, echo) end)
    assert.has_error(function() net.serve(80, echo) end)
  end)

  it("keeps a process up until unref or close", function()
    local out, err, code = support.run_script(support.host, [[
      local halo, net = require "halo", require "halo.net"
      local server = assert(net.serve({ host = "127.0.0.1" }, function() end))
      server:unref()
      halo.run()
      server:ref()
      require("halo.timers").set_timeout(function() print("closing") server:close() end, 0.01)
      halo.run()
      print("end")
    ]])
    assert.are.equal("", err)
    assert.are.equal("closing\nend\n", out)
    assert.are.equal(0, code)
  end)

  it("is not kept up by a socket that nobody waits for", function()
    local out, err, code = support.run_script(support.host, [[
      local halo, net = require "halo", require "halo.net"
      local listener = assert(net.listen { host = "127.0.0.1" })
      local s = assert(net.connect { host = "127.0.0.1", port = listener:address().port })
      local t = assert(listener:accept())
      t:write("x")
      print(s:read())
      halo.run()
      print("end")
    ]])
    assert.are.equal("", err)
    assert.are.equal("x\nend\n", out)
    assert.are.equal(0, code)
  end)

  it("slows down when descriptors run out, and loses nobody", function()
    local out, err, code = run_limited(40, [[
      local halo, net = require "halo", require "halo.net"
      local server = assert(net.serve({ host = "127.0.0.1" }, function(s) s:write(s:read_line(), "\n") end))
      local port = server:address().port
      local first = assert(net.connect { host = "127.0.0.1", port = port })
      local clients = {}
      while true do
        local s, e = net.connect { host = "127.0.0.1", port = port }
        if not s then
          print(e.code)
          break
        end
        clients[#clients + 1] = s
      end
      print(#clients > 10)
      local hogs = {}
      while true do
        local f = io.open("/dev/null")
        if not f then break end
        hogs[#hogs + 1] = f
      end
      first:write("first\n")
      print(first:read_line())
      for _, f in ipairs(hogs) do f:close() end
      local served = 0
      for i, s in ipairs(clients) do
        s:write(i, "\n")
        if s:read_line() == tostring(i) then served = served + 1 end
        s:close()
      end
      print(served == #clients)
      server:close()
    ]])
    assert.are.equal("", err)
    assert.are.equal("EMFILE\ntrue\nfirst\ntrue\n", out)
    assert.are.equal(0, code)
  end)

  it("serves many at once", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, echo))
    local tasks = {}
    for i = 1, 200 do
      tasks[i] = halo.spawn(function()
        local s <close> = connect(server)
        for j = 1, 5 do
          assert(s:write(i * j, "\n"))
          assert.are.equal(tostring(i * j), s:read_line())
        end
      end)
    end
    for _, task in ipairs(tasks) do task:await() end
  end)

  it("survives a restless collector", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, echo))
    collectgarbage("incremental", 1, 1000)
    for i = 1, 30 do
      local s = connect(server)
      assert(s:write(("x"):rep(i * 100)))
      assert.are.equal(i * 100, #s:read_exactly(i * 100))
      if i % 2 == 0 then s:close() end
      collectgarbage()
    end
    collectgarbage("incremental", 200, 100)
    collectgarbage()
    collectgarbage()
  end)

  it("speaks with a program of others", function()
    if not has("python3") then return end
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, function(socket)
      local n = 0
      for chunk in socket:chunks() do n = n + #chunk end
      socket:write("got ", n, "\n")
    end))
    local result = os.tmpname()
    os.execute(([[env -u LD_PRELOAD python3 -c '
import socket
s = socket.create_connection(("127.0.0.1", %d))
s.sendall(b"x" * 3000000)
s.shutdown(socket.SHUT_WR)
data = b""
while True:
    piece = s.recv(100)
    if not piece: break
    data += piece
open("%s", "wb").write(data)
' &]]):format(server:address().port, result))
    local text
    repeat
      halo.sleep(0.01)
      local file = assert(io.open(result))
      text = file:read("a")
      file:close()
    until text ~= ""
    os.remove(result)
    assert.are.equal("got 3000000\n", text)
  end)
end)

describe("net.listen", function()
  before_each(function() before = open_sockets() end)
  after_each(settle)

  it("accepts in order", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    local clients = {}
    for i = 1, 3 do
      clients[i] = assert(net.connect { host = "127.0.0.1", port = server:address().port })
      clients[i]:write(i)
    end
    for i = 1, 3 do
      local s <close> = assert(server:accept())
      assert.are.equal(tostring(i), s:read())
      clients[i]:close()
    end
  end)

  it("lets accept wait, for several tasks", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    for i = 1, 3 do
      halo.spawn(function()
        local s <close> = assert(server:accept())
        s:write("task ", i)
      end)
    end
    halo.yield()
    for i = 1, 3 do
      local s <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
      assert.are.equal("task " .. i, s:read_all())
    end
  end)

  it("wakes accept with ECANCELED when it is closed", function()
    local server = assert(net.listen { host = "127.0.0.1" })
    local task = halo.spawn(function() return server:accept() end)
    halo.yield()
    server:close()
    local s, err = task:await()
    assert.is_nil(s)
    assert.are.equal("ECANCELED", err.code)
    assert.are.equal("EBADF", select(2, server:accept()).code)
  end)

  it("lets accept be cancelled and time out, and goes on", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    local task = halo.spawn(function() return server:accept() end)
    halo.yield()
    task:cancel()
    assert.is_false(pcall(task.await, task))
    local none, err = halo.timeout(0.005, function() return server:accept() end)
    assert.is_nil(none)
    assert.are.equal("ETIMEDOUT", err.code)
    local s <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
    local t <close> = assert(server:accept())
    t:write("x")
    assert.are.equal("x", s:read())
  end)

  it("obeys max_connections", function()
    local server <close> = assert(net.listen { host = "127.0.0.1", max_connections = 1 })
    local a <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
    local b <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
    local c = assert(server:accept())
    local task = halo.spawn(function() return server:accept() end)
    halo.sleep(0.01)
    assert.are.equal("pending", task:status())
    c:close()
    task:await():close()
    a:close()
    b:close()
  end)

  it("is closed by the collector when dropped", function()
    local port
    do
      local server = assert(net.listen { host = "127.0.0.1" })
      port = server:address().port
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal("ECONNREFUSED", select(2, net.connect { host = "127.0.0.1", port = port }).code)
  end)

  it("has no accept with a handler", function()
    local server <close> = assert(net.serve({ host = "127.0.0.1" }, echo))
    assert.has_error(function() server:accept() end)
  end)
end)

describe("a Unix socket", function()
  local path
  before_each(function()
    before = open_sockets()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function()
    settle()
    os.remove(path)
  end)

  it("knows its addresses", function()
    local server <close> = assert(net.listen { path = path })
    assert.are.same({ path = path }, server:address())
    local s <close> = assert(net.connect { path = path })
    local t <close> = assert(server:accept())
    assert.are.same({ path = path }, s:remote_address())
    assert.are.same({ path = "" }, t:remote_address())
    assert.are.same({ path = path }, t:local_address())
    assert.is_true(s:set_no_delay(true))
  end)

  it("ends in both directions on their own", function()
    local guard <close> = assert(net.serve({ path = path }, function(socket)
      socket:write(socket:read_all():upper())
    end))
    local s <close> = assert(net.connect { path = path })
    s:write("shout")
    s:finish()
    assert.are.equal("SHOUT", s:read_all())
  end)

  it("removes its file when closed, and only its own", function()
    local server = assert(net.listen { path = path })
    assert.is_true(exists(path))
    server:close()
    assert.is_false(exists(path))
    server = assert(net.listen { path = path })
    os.remove(path)
    support.write(path, "another's")
    server:close()
    assert.is_true(exists(path))
  end)

  it("takes the place of one where nobody listens any more", function()
    local first = assert(net.listen { path = path })
    os.rename(path, path .. ".stale")
    first:close()
    os.rename(path .. ".stale", path)
    assert.is_true(exists(path))
    assert.are.equal("ECONNREFUSED", select(2, net.connect { path = path }).code)
    local server <close> = assert(net.listen { path = path })
    local other, err = net.listen { path = path }
    assert.is_nil(other)
    assert.are.equal("EADDRINUSE", err.code)
    assert.are.equal(path, err.path)
    server:close()
    support.write(path, "a file")
    assert.are.equal("EADDRINUSE", select(2, net.listen { path = path }).code)
    assert.is_true(exists(path))
  end)

  it("gives an error for a path that is too long", function()
    assert.are.equal("ENAMETOOLONG", select(2, net.listen { path = "/tmp/" .. ("x"):rep(200) }).code)
  end)
end)

describe("net.is_ip", function()
  it("tells addresses from other text", function()
    assert.are.equal(4, net.is_ip("127.0.0.1"))
    assert.are.equal(6, net.is_ip("::1"))
    assert.are.equal(6, net.is_ip("::ffff:1.2.3.4"))
    for _, s in ipairs { "", "localhost", "127.1", "0177.0.0.1", "0x7f.0.0.1", "256.0.0.1", "1.2.3.4 ", "1.2.3.4\0",
                         "[::1]", "::1%lo", ":::", "1.2.3.4.5", "2130706433" } do
      assert.is_nil(net.is_ip(s), s)
    end
    assert.has_error(function() net.is_ip() end)
    assert.has_error(function() net.is_ip({}) end)
  end)
end)

describe("halo.resources", function()
  it("names sockets and servers", function()
    local server <close> = assert(net.listen { host = "127.0.0.1" })
    local port = server:address().port
    local s <close> = assert(net.connect { host = "127.0.0.1", port = port })
    local found = {}
    for _, r in ipairs(halo.resources()) do found[r.kind .. " " .. r.detail] = true end
    assert.is_true(found["tcp server 127.0.0.1:" .. port])
    assert.is_true(found["tcp socket 127.0.0.1:" .. port])
    s:close()
  end)
end)
