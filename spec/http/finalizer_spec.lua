-- What finalizers and clients that do not read can do to a server: nothing.
local halo = require "halo"
local h = require "spec.http.support"
local net = require "halo.net"
local support = require "spec.support"

describe("an HTTP server", function()
  before_each(h.setup)
  after_each(h.teardown)

  it("survives a refusal while nothing that it sends is read", function()
    local _, port = h.serve(function(req, res)
      res:send(("x"):rep(tonumber(req.path:match("%d+")) or 0))
    end)
    for m = 100, 180, 4 do
      local c <close> = assert(net.connect { host = "127.0.0.1", port = port })
      c:write(("GET /30000 HTTP/1.1\r\nHost: x\r\n\r\n"):rep(m))
      halo.sleep(0.002)
      c:write(("GET /16000 HTTP/1.1\r\nHost: x\r\n\r\n"):rep(4),
        "GET /850 HTTP/1.1\r\nHost: x\r\n\r\nFROB / HTTP/1.1\r\nHost: x\r\n\r\n")
      halo.sleep(0.002)
    end
    assert.equal(200, h.client(port):get("/3").status)
  end)

  it("refuses a second Content-Length of an answer", function()
    local caught = {}
    local _, port = h.serve(function(_, res)
      res.headers["Content-Length"] = 5
      caught[1] = select(2, pcall(function() res.headers:add("content-length", 3) end))
      caught[2] = select(2, pcall(function() res.headers["Content-Length"] = { 5, 3 } end))
      res.headers["Content-Length"] = 5
      res:send("hello")
    end)
    assert.equal("hello", h.client(port):get("/").body)
    assert.matches("more than one Content%-Length", caught[1])
    assert.matches("more than one Content%-Length", caught[2])
  end)

  for _, host in ipairs(support.host == "halo" and { "halo", "lua5.4" } or {}) do
    it("may be used by finalizers after it was collected (" .. host .. ")", function()
      local out, err, code = support.run_script(host, [[
        local late = setmetatable({}, { __gc = function(t)
          t.server:unref()
          t.server:close()
          io.write(t.server:connections(), "\n")
        end })
        late.server = require("halo.http").serve({ port = 0 }, print)
        os.exit(0, true)]])
      assert.equal("", err)
      assert.equal("0\n", out)
      assert.equal(0, code)
    end)

    it("and its kin wake a task whose handle's finalizer cancels it (" .. host .. ")", function()
      local out, err, code = support.run_script(host, [[
        local halo, net = require "halo", require "halo.net"
        collectgarbage("stop")
        local function cancel_late(t) setmetatable({}, { __gc = function() t:cancel() end }) end
        for _ = 1, 20 do
          local server = net.listen { port = 0, host = "127.0.0.1" }
          local task = halo.spawn(function()
            local socket = server:accept()
            if socket then socket:close() end
          end)
          halo.sleep(0.001)
          cancel_late(task)
          halo.spawn(function()
            local socket = net.connect { host = "127.0.0.1", port = server:address().port }
            if socket then socket:close() end
          end)
          collectgarbage("restart")
          collectgarbage("incremental", 1, 4000)
          halo.sleep(0.005)
          collectgarbage("stop")
          server:close()
        end
        print "ok"]])
      assert.equal("", err)
      assert.equal("ok\n", out)
      assert.equal(0, code)
    end)
  end
end)
