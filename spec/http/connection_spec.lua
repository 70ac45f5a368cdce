-- Time, limits and the end of connections.
local halo = require "halo"
local http = require "halo.http"
local h = require "spec.http.support"
local support = require "spec.support"

local tiny = 0.03

local function send_ok(_, res)
  res:send("ok")
end

local head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

describe("halo.http's server", function()
  before_each(h.setup)
  after_each(h.teardown)

  describe("and time", function()
    it("answers a head that takes too long with 408", function()
      local _, port = h.serve(send_ok, { headers_timeout = tiny })
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost")
      local r = client:response()
      assert.equal(408, r.status)
      assert.equal("close", r.headers.connection)
      assert.is_true(client:is_closed())
    end)

    it("gives a head that comes in drops no more time", function()
      local _, port = h.serve(send_ok, { headers_timeout = tiny })
      local client = h.client(port)
      halo.spawn(function()
        for byte in ("GET / HTTP/1.1\r\nHost: " .. ("x"):rep(1000)):gmatch(".") do
          if not client.socket:write(byte) then
            return
          end
          halo.sleep(0.005)
        end
      end)
      assert.equal(408, client:response().status)
    end)

    it("closes a connection on which nothing ever comes", function()
      local _, port = h.serve(send_ok, { headers_timeout = tiny })
      assert.is_true(h.client(port):is_closed())
    end)

    it("closes a connection that has been idle for too long", function()
      local _, port = h.serve(send_ok, { keep_alive_timeout = tiny })
      local client = h.client(port)
      assert.equal(200, client:get("/").status)
      assert.equal(200, client:get("/").status)
      assert.is_true(client:is_closed())
    end)

    it("starts the time for the next head with its first byte", function()
      local _, port = h.serve(send_ok, { headers_timeout = tiny })
      local client = h.client(port)
      assert.equal(200, client:get("/").status)
      halo.sleep(2 * tiny)
      assert.equal(200, client:get("/").status)
      client:send("GET")
      assert.equal(408, client:response().status)
    end)

    it("gives the handler ETIMEDOUT for a body that stalls, and the client 408", function()
      local err, sent
      local _, port = h.serve(function(req, res)
        local _
        _, err = req:text()
        sent = { res:send("x") }
      end, { body_timeout = tiny })
      local client = h.client(port)
      client:send(head, "half")
      local r = client:response()
      assert.equal(408, r.status)
      assert.equal("close", r.headers.connection)
      assert.is_true(client:is_closed())
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("request body", err.stage)
      assert.is_nil(sent[1])
    end)

    it("cuts off an answer that has begun when the body stalls", function()
      local err
      local _, port = h.serve(function(req, res)
        res:write("begun")
        local _
        _, err = req:text()
      end, { body_timeout = tiny })
      local client = h.client(port)
      client:send(head, "half")
      assert.equal("begun", client:response().body)
      assert.is_true(client:is_closed())
      assert.equal("ETIMEDOUT", err.code)
    end)

    it("limits the time of a whole request", function()
      local err
      local _, port = h.serve(function(req, res)
        local _
        _, err = req:text()
        res:send()
      end, { request_timeout = 2 * tiny, body_timeout = 10 })
      local client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
      halo.spawn(function()
        while client.socket:write("x") do
          halo.sleep(0.005)
        end
      end)
      assert.equal(408, client:response().status)
      assert.equal("ETIMEDOUT", err.code)
    end)

    it("does not count the handler's time", function()
      local _, port = h.serve(function(req, res)
        halo.sleep(3 * tiny)
        res:send(req:text())
      end, {
        headers_timeout = tiny, body_timeout = tiny, request_timeout = tiny,
        keep_alive_timeout = tiny, write_timeout = tiny,
      })
      local client = h.client(port)
      client:send(head, "0123456789")
      assert.equal("0123456789", client:response().body)
    end)

    it("does not count the time for which nobody has asked for the body", function()
      local _, port = h.serve(function(req, res)
        halo.sleep(3 * tiny)
        res:send(req:text())
      end, { body_timeout = tiny })
      local client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
      assert.equal(100, client:response().status)
      client:send("0123456789")
      assert.equal("0123456789", client:response().body)
    end)

    it("ends the connection of a client that takes nothing", function()
      local err
      local done, wait = h.latch()
      local _, port = h.serve(function(_, res)
        local ok
        repeat
          ok, err = res:write(("x"):rep(65536))
        until not ok
        done()
      end, { write_timeout = tiny })
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      wait()
      assert.equal("ETIMEDOUT", err.code)
    end)

    it("can be told to have no limits", function()
      local _, port = h.serve(send_ok, {
        headers_timeout = false, body_timeout = false, request_timeout = false,
        keep_alive_timeout = false, write_timeout = false,
      })
      local client = h.client(port)
      client:send("GET / ")
      halo.sleep(tiny)
      client:send("HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(200, client:response().status)
    end)
  end)

  describe("and limits of one's own", function()
    it("has smaller and larger ones", function()
      local _, port = h.serve(send_ok, { max_target = 10, max_header_size = 30, max_headers = 2 })
      local function status(target, fields)
        return h.statuses(h.answer(port, "GET " .. target .. " HTTP/1.1\r\n" .. fields ..
          "Connection: close\r\n\r\n"))[1]
      end
      assert.equal(200, status("/23456789a", "Host: a\r\n"))
      assert.equal(414, status("/23456789ab", "Host: a\r\n"))
      assert.equal(431, status("/", "Host: a\r\nX: y\r\n"))
      assert.equal(431, status("/", "Host: abcd\r\n"))
      _, port = h.serve(send_ok, { max_target = 100000, max_header_size = 200000, max_headers = 1000 })
      assert.equal(200, status("/" .. ("x"):rep(90000), "Host: a\r\n" .. ("X: " .. ("y"):rep(180) .. "\r\n"):rep(900)))
    end)

    it("makes room for a new connection by closing the one idle for longest", function()
      local server, port = h.serve(send_ok, { max_connections = 3 })
      local clients = {}
      for i = 1, 3 do
        clients[i] = h.client(port)
        assert.equal(200, clients[i]:get("/").status)
      end
      assert.equal(200, clients[1]:get("/").status)
      local fourth = h.client(port)
      assert.equal(200, fourth:get("/").status)
      assert.is_true(clients[2]:is_closed())
      assert.equal(200, clients[1]:get("/").status)
      assert.equal(200, clients[3]:get("/").status)
      assert.equal(3, server:connections())
    end)

    it("turns a connection away when all others are busy", function()
      local go, wait = h.latch()
      local _, port = h.serve(function(_, res)
        wait()
        res:send("ok")
      end, { max_connections = 1 })
      local busy = h.client(port)
      busy:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      halo.sleep(0.005)
      local other = h.client(port)
      assert.equal(503, other:response().status)
      go()
      assert.equal("ok", busy:response().body)
    end)
  end)

  describe("and clients that go away", function()
    it("forgets one that dies in the middle of a head", function()
      local server, port = h.serve(send_ok)
      local client = h.client(port)
      client:send("GET / HT")
      h.until_true(function()
        return server:connections() == 1
      end)
      client:close()
      h.until_true(function()
        return server:connections() == 0
      end)
    end)

    it("gives ECONNRESET for a body that is cut off", function()
      for _, how in ipairs { "close", "finish" } do
        local err
        local done, wait = h.latch()
        local server, port = h.serve(function(req)
          local _
          _, err = req:text()
          done()
        end)
        local client = h.client(port)
        client:send(head, "half")
        halo.sleep(0.005)
        client.socket[how](client.socket)
        wait()
        assert.equal("ECONNRESET", err.code)
        assert.equal("request body", err.stage)
        client:close()
        h.until_true(function()
          return server:connections() == 0
        end)
      end
    end)

    it("gives what came of the body before the error", function()
      local seen = {}
      local done, wait = h.latch()
      local _, port = h.serve(function(req)
        seen[1] = req:read()
        halo.sleep(0.01)
        seen[2] = req:read()
        local _, err = req:read()
        seen[3] = err.code
        done()
      end)
      local client = h.client(port)
      client:send(head, "one")
      halo.sleep(0.005)
      client:send("two")
      client:close()
      wait()
      assert.same({ "one", "two", "ECONNRESET" }, seen)
    end)

    it("tells a handler that writes to one that has gone", function()
      local err
      local done, wait = h.latch()
      local server, port = h.serve(function(_, res)
        local ok
        repeat
          ok, err = res:write(("x"):rep(10000))
          halo.sleep(0.001)
        until not ok
        done()
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      client.socket:read()
      client:close()
      wait()
      assert(err.code == "EPIPE" or err.code == "ECONNRESET", err)
      assert.equal(0, server:connections())
    end)

    it("wakes a handler that waits to write to one that goes", function()
      local err
      local done, wait = h.latch()
      local _, port = h.serve(function(_, res)
        local ok
        repeat
          ok, err = res:write(("x"):rep(65536))
        until not ok
        done()
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      client.socket:read()
      halo.sleep(0.02)
      client:close()
      wait()
      assert(err.code == "EPIPE" or err.code == "ECONNRESET", err)
    end)

    it("lets a handler finish what nobody hears", function()
      local result
      local done, wait = h.latch()
      local _, port = h.serve(function(_, res)
        halo.sleep(0.02)
        result = table.pack(res:send(("x"):rep(100)))
        done()
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      halo.sleep(0.005)
      client:close()
      wait()
      assert(result[1] == true or result[2].code)
    end)

    it("reads the answer of a refusal to its end although the client still sends", function()
      local _, port = h.serve(send_ok)
      for _ = 1, 20 do
        local client = h.client(port)
        client:send("BAD\r\n\r\n" .. ("x"):rep(500000))
        local text, err = client:rest()
        assert.is_nil(err)
        assert.same({ 400 }, h.statuses(text))
      end
    end)
  end)

  describe("server:stop", function()
    it("lets requests in flight finish, and keeps nobody", function()
      local started, wait_started = h.latch(2)
      local go, wait = h.latch()
      local server, port = h.serve(function(req, res)
        if req.path == "/begun" then
          res:write("one ")
        end
        started()
        wait()
        res:finish("two")
      end)
      local idle, begun, busy = h.client(port), h.client(port), h.client(port)
      begun:send("GET /begun HTTP/1.1\r\nHost: a\r\n\r\n")
      busy:send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n")
      wait_started()
      local stopped = halo.spawn(server.stop, server)
      assert.is_true(idle:is_closed())
      assert.equal("pending", stopped:status())
      local socket, err = require("halo.net").connect { host = "127.0.0.1", port = port }
      assert.is_nil(socket)
      assert.equal("ECONNREFUSED", err.code)
      go()
      local r = busy:response()
      assert.equal("two", r.body)
      assert.equal("close", r.headers.connection)
      assert.is_true(busy:is_closed())
      assert.equal("one two", begun:response().body)
      assert.is_true(begun:is_closed())
      assert.is_true(halo.await(stopped))
      assert.equal(0, server:connections())
    end)

    it("takes a request whose head has begun for one in flight", function()
      local server, port = h.serve(send_ok)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\n")
      h.until_true(function()
        return server:connections() == 1
      end)
      halo.sleep(0.005)
      local stopped = halo.spawn(server.stop, server, { grace = 5 })
      halo.sleep(0.005)
      client:send("Host: a\r\n\r\n")
      assert.equal("close", client:response().headers.connection)
      assert.is_true(halo.await(stopped))
    end)

    it("ends what is not done in time", function()
      local started, wait_started = h.latch()
      local err
      local server, port = h.serve(function()
        started()
        local _
        _, err = pcall(halo.sleep, 100)
        error(err)
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      wait_started()
      assert.is_true(server:stop { grace = tiny })
      assert.equal(0, server:connections())
      halo.sleep(0)
      assert.is_true(halo.is_error(err, "ECANCELED"))
      assert.equal("", (client:rest()))
    end)

    it("returns at once when nothing is under way, and can be repeated", function()
      local server, port = h.serve(send_ok)
      assert.equal(200, h.client(port):get("/").status)
      assert.is_true(server:stop())
      assert.is_true(server:stop { grace = 0 })
      assert.is_nil((server:address()))
      server:close()
    end)

    it("can be called by a handler", function()
      local server, port
      local done, wait = h.latch()
      server, port = h.serve(function(_, res)
        res:send("bye")
        server:stop { grace = 1 }
        done()
      end)
      local client = h.client(port)
      assert.equal("bye", client:get("/").body)
      wait()
      assert.equal(0, server:connections())
    end)

    it("can be cancelled", function()
      local go, wait = h.latch()
      local server, port = h.serve(function(_, res)
        wait()
        res:send("ok")
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      halo.sleep(0.005)
      local result, err = halo.timeout(tiny, server.stop, server)
      assert.is_nil(result)
      assert.equal("ETIMEDOUT", err.code)
      go()
      assert.equal("ok", client:response().body)
    end)

    it("raises for what it does not know", function()
      local server = h.serve(send_ok)
      assert.has_error(function()
        server:stop { graze = 1 }
      end, "bad argument #1 to 'stop' (unknown option 'graze')")
      assert.has_error(function()
        server:stop { grace = -1 }
      end)
      assert.has_error(function()
        server:stop(1)
      end)
    end)
  end)

  describe("server:close", function()
    it("ends all connections and cancels handlers that wait", function()
      local started, wait_started = h.latch()
      local err, canceled
      local server, port = h.serve(function(req)
        started()
        local _
        _, err = pcall(req.text, req)
        _, canceled = pcall(halo.sleep, 100)
      end)
      local busy, idle = h.client(port), h.client(port)
      busy:send(head)
      wait_started()
      server:close()
      assert.equal("", (busy:rest()))
      assert.equal("", (idle:rest()))
      server:close()
      assert.equal(0, server:connections())
      assert.is_true(halo.is_error(err, "ECANCELED"))
      assert.is_true(halo.is_error(canceled, "ECANCELED"))
    end)

    it("may be called by a handler, before and after it answers", function()
      for _, after in ipairs { false, true } do
        local server, port, result
        server, port = h.serve(function(_, res)
          if after then
            res:send("x")
          end
          server:close()
          result = table.pack(res:send("y"))
        end)
        local client = h.client(port)
        client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client:rest()
        assert.is_nil(result[1])
        assert(result[2].code)
      end
    end)

    it("is what <close> calls", function()
      local port
      do
        local server <close> = assert(http.serve({ host = "127.0.0.1" }, send_ok))
        port = server:address().port
      end
      local socket, err = require("halo.net").connect { host = "127.0.0.1", port = port }
      assert.is_nil(socket)
      assert.equal("ECONNREFUSED", err.code)
    end)
  end)

  describe("a handler's task", function()
    it("can be cancelled, which is answered with 500", function()
      local _, port = h.serve(function(_, res)
        halo.current():cancel()
        halo.sleep(1)
        res:send("never")
      end)
      assert.equal(500, h.client(port):get("/").status)
    end)

    it("can be cancelled while it reads and while it writes", function()
      local task
      local _, port = h.serve(function(req, res)
        task = halo.current()
        if req.path == "/read" then
          req:text()
        else
          while true do
            res:write(("x"):rep(65536))
          end
        end
      end)
      local client = h.client(port)
      client:send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
      h.until_true(function()
        return task
      end)
      task:cancel()
      assert.equal(500, client:response().status)
      task = nil
      client = h.client(port)
      client:send("GET /write HTTP/1.1\r\nHost: a\r\n\r\n")
      h.until_true(function()
        return task
      end)
      halo.sleep(0.02)
      task:cancel()
      client:rest()
    end)

    it("inherits the context of http.serve", function()
      local context = require "halo.context"
      local name = context.new("none")
      local seen
      name:run("server", function()
        local _, port = h.serve(function(_, res)
          seen = name:get()
          res:send()
        end)
        name:run("client", function()
          h.client(port):get("/")
        end)
      end)
      assert.equal("server", seen)
    end)
  end)

  local scripts = {
    { "ends by itself when the server is unref'd", [[
      local http, net = require "halo.http", require "halo.net"
      local server = assert(http.serve({ host = "127.0.0.1" }, function(_, res) res:send("x") end))
      server:unref()
      local socket = assert(net.connect { host = "127.0.0.1", port = server:address().port })
      socket:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      print((socket:read_line()))
      kept = socket
    ]], "HTTP/1.1 200 OK\n" },
    { "can be left with all open", [[
      local halo, http, net = require "halo", require "halo.http", require "halo.net"
      local server = assert(http.serve({ host = "127.0.0.1" }, function(req, res)
        if req.path == "/body" then req:text() end
        res:write("x")
        if req.path == "/write" then while true do res:write(("x"):rep(100000)) end end
        halo.sleep(100)
      end))
      local sockets = {}
      for i, bytes in ipairs { "", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", "GET /write HTTP/1.0\r\n\r\n",
        "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nxx" } do
        sockets[i] = assert(net.connect { host = "127.0.0.1", port = server:address().port })
        sockets[i]:write(bytes)
      end
      halo.sleep(0.02)
      print(server:connections())
      os.exit(true, true)
    ]], "5\n" },
    { "goes on serving when nobody holds it", [[
      local http, net, process = require "halo.http", require "halo.net", nil
      local port = assert(http.serve({ host = "127.0.0.1" }, function(_, res) res:send("x") end)):address().port
      for _ = 1, 3 do
        collectgarbage()
        local socket <close> = assert(net.connect { host = "127.0.0.1", port = port })
        socket:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        print((socket:read_line()))
      end
      os.exit(true, true)
    ]], ("HTTP/1.1 200 OK\n"):rep(3) },
  }

  for _, script in ipairs(scripts) do
    for _, host in ipairs { "halo", "lua5.4" } do
      it(script[1] .. ", in " .. host, function()
        local out, err, code = support.run_script(host, script[2])
        assert.equal("", err)
        assert.equal(script[3], out)
        assert.equal(0, code)
      end)
    end
  end
end)
