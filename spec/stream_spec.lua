-- Reading and writing, over sockets of this process.
local halo = require "halo"
local buffer = require "halo.buffer"
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

---A pair of connected sockets.
local function pair()
  local server <close> = assert(net.listen { host = "127.0.0.1" })
  local a = assert(net.connect { host = "127.0.0.1", port = server:address().port })
  return a, assert(server:accept())
end

---Writes the pieces so that each arrives alone; then ends.
local function send(s, ...)
  local pieces = { ... }
  return halo.spawn(function()
    for _, piece in ipairs(pieces) do
      assert(s:write(piece))
      halo.sleep(0.005)
    end
    s:finish()
  end)
end

---Writes until the peer's and our own system buffers are full; gives the task
---that waits.
local function stuff(s, piece)
  local count = 0
  local task = halo.spawn(function()
    while true do
      local ok, err = s:write(piece)
      if not ok then return nil, err, count end
      count = count + 1
    end
  end)
  local before
  repeat
    before = s.bytes_written
    halo.sleep(0.02)
  until s.bytes_written == before
  return task
end

describe("a stream", function()
  local a, b, before

  before_each(function()
    before = open_sockets()
    a, b = pair()
  end)

  after_each(function()
    a:close()
    b:close()
    for _ = 1, 100 do -- what a test has left to itself ends soon
      if open_sockets() <= before then return end
      halo.sleep(0.002)
    end
    assert.is_true(open_sockets() <= before)
  end)

  describe("read", function()
    it("gives what is there", function()
      b:write("hello")
      assert.are.equal("hello", a:read())
    end)

    it("waits for what comes", function()
      halo.spawn(function()
        halo.sleep(0.005)
        b:write("later")
      end)
      assert.are.equal("later", a:read())
    end)

    it("gives up to n bytes and keeps the rest", function()
      b:write("abcdef")
      assert.are.equal("ab", a:read(2))
      assert.are.equal("cd", a:read(2))
      assert.are.equal("ef", a:read(10))
    end)

    it("gives nil at the end, again and again", function()
      b:write("x")
      b:finish()
      assert.are.equal("x", a:read())
      for _ = 1, 2 do
        local data, err = a:read()
        assert.is_nil(data)
        assert.is_nil(err)
      end
    end)

    it("gives bytes of any value", function()
      local all = {}
      for i = 0, 255 do all[#all + 1] = string.char(i) end
      local text = table.concat(all)
      b:write(text)
      assert.are.equal(text, a:read_exactly(256))
    end)

    it("raises for what is no size", function()
      assert.has_error(function() a:read(0) end, "bad argument #1 to 'read' (must be positive)")
      assert.has_error(function() a:read(-1) end)
      assert.has_error(function() a:read("x") end)
      assert.has_error(function() a:read(1.5) end)
      assert.has_error(function() a.read({}) end)
      assert.has_error(function() a.read() end)
    end)

    it("gives nil and EBUSY where another task reads already", function()
      local first = halo.spawn(function() return a:read() end)
      halo.yield()
      local data, err = a:read()
      assert.is_nil(data)
      assert.are.equal("EBUSY", err.code)
      b:write("for the first")
      assert.are.equal("for the first", first:await())
    end)

    it("gives nil and EBADF on a closed stream", function()
      a:close()
      for _, name in ipairs { "read", "read_line", "read_all" } do
        local data, err = a[name](a)
        assert.is_nil(data)
        assert.are.equal("EBADF", err.code)
      end
      assert.are.equal("EBADF", select(2, a:read_exactly(1)).code)
      assert.are.equal("EBADF", select(2, a:read_until("x")).code)
    end)

    it("is woken with ECANCELED by close", function()
      local task = halo.spawn(function() return a:read() end)
      halo.yield()
      a:close()
      local data, err = task:await()
      assert.is_nil(data)
      assert.are.equal("ECANCELED", err.code)
    end)

    it("may be cancelled, and what comes later stays readable", function()
      local task = halo.spawn(function() return a:read_exactly(10) end)
      b:write("part")
      halo.sleep(0.005)
      task:cancel()
      assert.has_error(function() task:await() end)
      b:write("ial")
      b:finish()
      assert.are.equal("partial", a:read_all())
    end)

    it("may time out, and goes on after it", function()
      local data, err = halo.timeout(0.005, function() return a:read() end)
      assert.is_nil(data)
      assert.are.equal("ETIMEDOUT", err.code)
      b:write("x")
      assert.are.equal("x", a:read())
    end)

    it("tells a broken connection from the end", function()
      local err
      for attempt = 1, 10 do -- a close resets if bytes have come that were not read
        local c, d = pair()
        d:write("first")
        c:write("never read")
        halo.sleep(0.005 * attempt)
        d:close()
        local data
        assert.are.equal("first", c:read())
        data, err = c:read()
        assert.is_nil(data)
        c:close()
        if err then break end
      end
      assert.are.equal("ECONNRESET", err.code)
      assert.are.equal("read", err.syscall)
    end)
  end)

  describe("read_exactly", function()
    it("joins pieces and leaves the rest", function()
      send(b, "ab", "cd", "ef")
      assert.are.equal("abc", a:read_exactly(3))
      assert.are.equal("def", a:read_exactly(3))
    end)

    it("gives ERR_EOF with the part where it is cut short", function()
      send(b, "abc", "d")
      local data, err = a:read_exactly(10)
      assert.is_nil(data)
      assert.are.equal("ERR_EOF", err.code)
      assert.are.equal("abcd", err.partial)
      assert.is_true(halo.is_error(err, "ERR_EOF"))
    end)

    it("gives a plain nil at the end", function()
      send(b, "abcd")
      assert.are.equal("abcd", a:read_exactly(4))
      local data, err = a:read_exactly(4)
      assert.is_nil(data)
      assert.is_nil(err)
    end)

    it("of nothing is the empty string", function()
      assert.are.equal("", a:read_exactly(0))
    end)

    it("takes more than what is held back otherwise", function()
      local text = ("0123456789abcdef"):rep(65536)
      halo.spawn(function()
        b:write(text)
        b:finish()
      end)
      assert.is_true(text == a:read_exactly(#text))
      assert.is_nil(a:read())
    end)

    it("raises without a size", function()
      assert.has_error(function() a:read_exactly() end)
      assert.has_error(function() a:read_exactly(-1) end)
    end)
  end)

  describe("read_line", function()
    it("strips either end of line", function()
      send(b, "one\ntwo\r\n\n\r\nfi", "ve\r", "\nsix\r", "x\n", "last")
      for _, line in ipairs { "one", "two", "", "", "five", "six\rx", "last" } do
        assert.are.equal(line, a:read_line())
      end
      assert.is_nil(a:read_line())
    end)

    it("is bounded, and what was read stays readable", function()
      send(b, ("x"):rep(20), "\nnext\n")
      local line, err = a:read_line(10)
      assert.is_nil(line)
      assert.are.equal("ERR_TOO_LARGE", err.code)
      assert.are.equal(("x"):rep(20), a:read_line())
      assert.are.equal("next", a:read_line())
    end)

    it("takes a line of just the longest length", function()
      send(b, "1234567890\n", "1234567890\r\n", "1234567890\r", "\n", "12345678901\n")
      for _ = 1, 3 do assert.are.equal("1234567890", a:read_line(10)) end
      assert.are.equal("ERR_TOO_LARGE", select(2, a:read_line(10)).code)
    end)

    it("is bounded at 64 KiB unless told", function()
      halo.spawn(function() b:write(("x"):rep(65537), "\n") end)
      assert.are.equal("ERR_TOO_LARGE", select(2, a:read_line()).code)
      assert.are.equal(65537, #a:read_line(65537))
    end)
  end)

  describe("read_until", function()
    it("finds a separator wherever it is cut", function()
      send(b, "one--", "-two", "-", "--three", "----four")
      for _, text in ipairs { "one", "two", "three", "-four" } do
        assert.are.equal(text, a:read_until("---"))
      end
      assert.is_nil(a:read_until("---"))
    end)

    it("is bounded", function()
      send(b, "12345", "67890--")
      assert.are.equal("ERR_TOO_LARGE", select(2, a:read_until("--", 9)).code)
      assert.are.equal("1234567890", a:read_until("--", 10))
    end)

    it("raises for an empty separator", function()
      assert.has_error(function() a:read_until("") end)
      assert.has_error(function() a:read_until() end)
    end)
  end)

  describe("read_all", function()
    it("gives everything up to the end", function()
      send(b, "one", "two", "three")
      assert.are.equal("onetwothree", a:read_all())
      assert.are.equal("", a:read_all())
    end)

    it("is bounded, and what was read stays readable", function()
      send(b, "one", "two", "three")
      local data, err = a:read_all(6)
      assert.is_nil(data)
      assert.are.equal("ERR_TOO_LARGE", err.code)
      assert.are.equal("onetwothree", a:read_all(11))
    end)
  end)

  describe("chunks", function()
    it("iterates to the end, and leaves the writing side", function()
      send(b, "one", "two")
      local got = {}
      for chunk in a:chunks() do got[#got + 1] = chunk end
      assert.are.equal("onetwo", table.concat(got))
      assert(a:write("answer"))
      assert.are.equal("answer", b:read())
    end)

    it("takes a size", function()
      b:write("abcde")
      b:finish()
      local got = {}
      for chunk in a:chunks(2) do got[#got + 1] = chunk end
      assert.are.same({ "ab", "cd", "e" }, got)
    end)

    it("closes the stream on break", function()
      b:write("one")
      for chunk in a:chunks() do
        assert.are.equal("one", chunk)
        break
      end
      assert.are.equal("EBADF", select(2, a:read()).code)
      assert.is_nil(b:read())
    end)

    it("closes the stream when its body raises", function()
      b:write("one")
      assert.has_error(function()
        for _ in a:chunks() do error("x", 0) end
      end, "x")
      assert.are.equal("EBADF", select(2, a:read()).code)
    end)

    it("raises what breaks it", function()
      a:close()
      local ok, err = pcall(function()
        for _ in a:chunks() do break end
      end)
      assert.is_false(ok)
      assert.is_true(halo.is_error(err, "EBADF"))
    end)
  end)

  describe("lines", function()
    it("iterates over lines", function()
      send(b, "one\ntw", "o\r\n", "three")
      local got = {}
      for line in a:lines() do got[#got + 1] = line end
      assert.are.same({ "one", "two", "three" }, got)
    end)

    it("raises for a line that is too long", function()
      b:write("1234567890\n")
      local ok, err = pcall(function()
        for _ in a:lines(5) do break end
      end)
      assert.is_false(ok)
      assert.is_true(halo.is_error(err, "ERR_TOO_LARGE"))
      assert.are.equal("EBADF", select(2, a:read()).code)
    end)
  end)

  describe("write", function()
    it("takes strings, numbers and buffers", function()
      assert.is_true(a:write("a", 1, 2.5, buffer.from("b"), "", "c"))
      a:finish()
      assert.are.equal("a12.5bc", b:read_all())
    end)

    it("takes many values at once", function()
      local values = {}
      for i = 1, 200 do values[i] = i .. "," end
      a:write(table.unpack(values))
      a:finish()
      assert.are.equal(table.concat(values), b:read_all())
    end)

    it("of nothing is no error", function()
      assert.is_true(a:write())
      assert.is_true(a:write(""))
    end)

    it("raises for other values", function()
      assert.has_error(function() a:write({}) end)
      assert.has_error(function() a:write("x", nil) end)
      assert.has_error(function() a:write(true) end)
    end)

    it("gives EPIPE after finish and EBADF after close", function()
      assert.is_true(a:finish())
      assert.is_true(a:finish())
      local ok, err = a:write("x")
      assert.is_nil(ok)
      assert.are.equal("EPIPE", err.code)
      a:close()
      assert.are.equal("EBADF", select(2, a:write("x")).code)
      assert.are.equal("EBADF", select(2, a:finish()).code)
    end)

    it("waits for a peer that does not read", function()
      local task = stuff(a, ("x"):rep(10000))
      assert.are.equal("pending", task:status())
      local sent = a.bytes_written
      halo.sleep(0.01)
      assert.are.equal(sent, a.bytes_written)
      local got = 0
      while got < sent do got = got + #b:read() end
      halo.sleep(0.01)
      assert.is_true(a.bytes_written > sent)
      a:close()
      local ok, err = task:await()
      assert.is_nil(ok)
      assert.are.equal("ECANCELED", err.code)
    end)

    it("keeps the bytes of each write together", function()
      local tasks = {}
      for i = 1, 8 do
        tasks[i] = halo.spawn(function()
          for _ = 1, 20 do assert(a:write(tostring(i):rep(20000), "\n")) end
        end)
      end
      halo.spawn(function()
        for _, task in ipairs(tasks) do task:await() end
        a:finish()
      end)
      local lines = 0
      for line in b:lines() do
        assert.are.equal(20000, #line)
        assert.is_nil(line:find("[^" .. line:sub(1, 1) .. "]"))
        lines = lines + 1
      end
      assert.are.equal(160, lines)
    end)

    it("that is cancelled midway still leaves, in its place", function()
      local task = halo.spawn(function() return a:write(("x"):rep(20000000)) end)
      halo.sleep(0.01)
      local second = halo.spawn(function() return a:write("end"), a:finish() end)
      halo.yield()
      task:cancel()
      assert.has_error(function() task:await() end)
      local text = b:read_all()
      assert.are.equal(20000003, #text)
      assert.are.equal("xend", text:sub(-4))
      assert.is_true((second:await()))
    end)

    it("may time out", function()
      local task = stuff(a, ("x"):rep(50000))
      local ok, err = halo.timeout(0.005, function() return a:write("y") end)
      assert.is_nil(ok)
      assert.are.equal("ETIMEDOUT", err.code)
      task:cancel()
      pcall(task.await, task)
    end)

    it("tells that the peer has gone", function()
      b:close()
      local ok, err
      repeat
        ok, err = a:write(("x"):rep(1000))
        halo.yield()
      until not ok
      assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
      assert.are.equal("write", err.syscall)
    end)

    it("tells a writer that waits that the peer has gone", function()
      local task = stuff(a, ("x"):rep(50000))
      b:close()
      local ok, err = task:await()
      assert.is_nil(ok)
      assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
    end)
  end)

  describe("finish", function()
    it("ends the one direction only", function()
      a:write("question")
      a:finish()
      assert.are.equal("question", b:read_all())
      b:write("answer")
      b:finish()
      assert.are.equal("answer", a:read_all())
    end)

    it("waits until all has left", function()
      local text = ("x"):rep(5000000)
      local order = {}
      local writer = halo.spawn(function() assert(a:write(text)) end)
      halo.yield()
      local task = halo.spawn(function()
        assert(a:finish())
        order[#order + 1] = "finished"
      end)
      halo.sleep(0.01)
      order[#order + 1] = "reading"
      assert.are.equal(#text, #b:read_all())
      writer:await()
      task:await()
      assert.are.same({ "reading", "finished" }, order)
    end)

    it("may be cancelled, and the end still comes", function()
      local writer = halo.spawn(function() return a:write(("x"):rep(5000000)) end)
      halo.yield()
      local task = halo.spawn(function() return a:finish() end)
      halo.sleep(0.005)
      task:cancel()
      assert.has_error(function() task:await() end)
      assert.are.equal(5000000, #b:read_all())
      assert.is_true(writer:await())
    end)
  end)

  describe("close", function()
    it("may be called twice and in a <close>", function()
      do
        local s <close> = a
        assert.is_true(s:close())
      end
      assert.is_true(a:close())
    end)

    it("from inside a read's own task is no error", function()
      halo.spawn(function()
        for _ in a:chunks() do a:close() break end
      end)
      b:write("x")
      assert.is_nil(b:read())
    end)

    it("gives the descriptor back when the stream is dropped", function()
      a:write("x")
      assert.are.equal("x", b:read())
      a = nil
      collectgarbage()
      collectgarbage()
      assert.is_nil(b:read())
      a = b
    end)
  end)

  describe("set_timeout", function()
    it("ends a read that waits for too long, and only that", function()
      a:set_timeout(0.02)
      local data, err = a:read()
      assert.is_nil(data)
      assert.are.equal("ETIMEDOUT", err.code)
      b:write("x")
      assert.are.equal("x", a:read())
    end)

    it("ends a write that waits for too long", function()
      a:set_timeout(0.05)
      local task = stuff(a, ("x"):rep(50000))
      local ok, err = task:await()
      assert.is_nil(ok)
      assert.are.equal("ETIMEDOUT", err.code)
    end)

    it("is for silence, not for the whole", function()
      a:set_timeout(0.1)
      halo.spawn(function()
        for _ = 1, 8 do
          b:write("x")
          halo.sleep(0.03)
        end
      end)
      assert.are.equal("xxxxxxxx", a:read_exactly(8))
    end)

    it("is taken back with nil", function()
      a:set_timeout(0.01)
      a:set_timeout(nil)
      local task = halo.spawn(function() return a:read() end)
      halo.sleep(0.03)
      assert.are.equal("pending", task:status())
      b:write("x")
      assert.are.equal("x", task:await())
    end)

    it("raises for what is no time", function()
      assert.has_error(function() a:set_timeout(-1) end)
      assert.has_error(function() a:set_timeout(0 / 0) end)
      assert.has_error(function() a:set_timeout("soon") end)
    end)
  end)

  it("holds back a peer while nobody reads", function()
    b:write("start")
    assert.are.equal("start", a:read())
    local task = stuff(b, ("x"):rep(100000))
    local held = collectgarbage("count")
    halo.sleep(0.01)
    assert.is_true(collectgarbage("count") - held < 1024)
    assert.is_true(b.bytes_written - a.bytes_read > 65536)
    assert.is_true(a.bytes_read < 5 + 3 * 65536)
    local sent, got = b.bytes_written, 0
    while got < sent do got = got + #a:read() end
    task:cancel()
    pcall(task.await, task)
  end)

  it("counts its bytes", function()
    a:write("12345")
    b:read()
    assert.are.equal(5, a.bytes_written)
    assert.are.equal(5, b.bytes_read)
    assert.are.equal(0, a.bytes_read)
    a:close()
    assert.are.equal(5, a.bytes_written)
  end)

  it("has a name", function()
    assert.is_truthy(tostring(a):find("^halo.net.Socket"))
    a:close()
    assert.is_truthy(tostring(a):find("closed"))
    assert.is_nil(a.no_such_field)
  end)
end)

describe("a writer in a host of its own", function()
  it("does not die of SIGPIPE", function()
    local out, err, code = support.run_script(support.host, [[
      local halo, net = require "halo", require "halo.net"
      local server = assert(net.listen { host = "127.0.0.1" })
      local a = assert(net.connect { host = "127.0.0.1", port = server:address().port })
      local b = assert(server:accept())
      local task = halo.spawn(function() return a:write(("x"):rep(20000000)) end)
      halo.sleep(0.01)
      b:close()
      local ok, err = task:await()
      print(ok, err.code)
      for _ = 1, 3 do print(a:write("x") == nil) end
      a:close()
      server:close()
    ]])
    assert.are.equal("", err)
    assert.is_truthy(out:find("^nil\tE%u+\ntrue\ntrue\ntrue\n$"), out)
    assert.are.equal(0, code)
  end)

  it("leaves SIGPIPE's handling as it was", function()
    local out, err = support.run_script("lua5.4", [[
      local halo, net = require "halo", require "halo.net"
      local function mask()
        for line in io.lines("/proc/self/status") do
          if line:find("^SigBlk") or line:find("^SigIgn") then io.write(line:match("%x+$"), " ") end
        end
      end
      mask()
      local server = assert(net.listen { host = "127.0.0.1" })
      local a = assert(net.connect { host = "127.0.0.1", port = server:address().port })
      local b = assert(server:accept())
      local task = halo.spawn(function() return a:write(("x"):rep(20000000)) end)
      halo.sleep(0.01)
      b:close()
      task:await()
      a:close()
      server:close()
      halo.sleep(0.01)
      mask()
    ]])
    assert.are.equal("", err)
    local words = {}
    for word in out:gmatch("%x+") do words[#words + 1] = word end
    assert.are.equal(4, #words)
    assert.are.equal(words[1], words[3])
    assert.are.equal(words[2], words[4])
  end)

  it("ends cleanly with everything open", function()
    local out, err, code = support.run_script(support.host, [[
      local halo, net = require "halo", require "halo.net"
      local server = assert(net.serve({ host = "127.0.0.1" }, function(s) s:read() end))
      local listener = assert(net.listen { host = "127.0.0.1" })
      local a = assert(net.connect { host = "127.0.0.1", port = server:address().port })
      halo.spawn(function() a:write(("x"):rep(20000000)) end)
      halo.spawn(function() a:read() end)
      halo.spawn(function() listener:accept() end)
      halo.spawn(function() net.connect { host = "localhost", port = 9 } end)
      halo.sleep(0.01)
      print("open", #halo.resources() >= 4)
      os.exit(0, true)
    ]])
    assert.are.equal("", err)
    assert.are.equal("open\ttrue\n", out)
    assert.are.equal(0, code)
  end)
end)
