-- The HTTP/1.1 server. What requests may look like: spec/http/parsing_spec.lua;
-- time, limits and the end of connections: spec/http/connection_spec.lua.
local buffer = require "halo.buffer"
local halo = require "halo"
local http = require "halo.http"
local support = require "spec.support"
local h = require "spec.http.support"

local function send_ok(_, res)
  res:send("ok")
end

---Runs curl, in a process of its own, while the loop goes on: a shell that
---tells by a connection that it is done.
local function curl(args)
  local net = require "halo.net"
  local out = os.tmpname()
  local listener = assert(net.listen { host = "127.0.0.1", port = 0 })
  local port = listener:address().port
  os.execute(("{ curl -s --max-time 10 %s >%s 2>&1; exec 3<>/dev/tcp/127.0.0.1/%d; } </dev/null >/dev/null 2>&1 &")
    :format(args, out, port):gsub("^(.*)$", function(s)
      return "env -u LD_PRELOAD bash -c " .. support.quote(s)
    end))
  local socket = assert(listener:accept())
  socket:close()
  listener:close()
  local file = assert(io.open(out, "rb"))
  local text = file:read("a")
  file:close()
  os.remove(out)
  return text
end

describe("halo.http's server", function()
  before_each(h.setup)
  after_each(h.teardown)

  describe("http.serve", function()
    it("tells where it listens", function()
      local server, port = h.serve(send_ok)
      assert.same({ address = "127.0.0.1", port = port, family = 4 }, server:address())
    end)

    it("raises at the caller's line for what cannot be", function()
      local cases = {
        { "unknown option 'timeout'", { timeout = 1 } },
        { "option 'max_headers': must be from 1 to 65535", { max_headers = 0 } },
        { "option 'max_body': an integer expected", { max_body = "x" } },
        { "option 'body_timeout': not a time in seconds", { body_timeout = -1 } },
        { "option 'keep_alive_timeout': not a time in seconds", { keep_alive_timeout = 0 / 0 } },
        { "option 'port'", { port = "80" } },
        { "table expected, got string", "8080" },
      }
      for _, case in ipairs(cases) do
        local ok, err = pcall(function()
          http.serve(case[2], send_ok)
        end)
        assert.is_false(ok)
        assert.truthy(err:find("http_spec.lua:", 1, true), err)
        assert.truthy(err:find(case[1], 1, true), err)
        assert.truthy(err:find("'serve'", 1, true), err)
      end
      assert.has_error(function()
        http.serve({}, nil)
      end, "bad argument #2 to 'serve' (function expected, got nil)")
    end)

    it("gives nil and an error for a port that is taken", function()
      local _, port = h.serve(send_ok)
      local server, err = http.serve({ host = "127.0.0.1", port = port }, send_ok)
      assert.is_nil(server)
      assert.equal("EADDRINUSE", err.code)
    end)

    it("listens on a Unix socket", function()
      local path = os.tmpname()
      os.remove(path)
      local server = assert(http.serve({ path = path }, function(req, res)
        res:send(req.remote_address.path)
      end))
      assert.equal("", curl("--unix-socket " .. path .. " http://a/"))
      server:close()
    end)
  end)

  describe("a request", function()
    ---Handles one request with fn and gives what fn returned.
    local function handle(bytes, fn, opts)
      local got
      local _, port = h.serve(function(req, res)
        got = table.pack(fn(req, res))
        res:send("done")
      end, opts)
      local client = h.client(port)
      client:send(bytes)
      local response = client:response(bytes:find("^HEAD"))
      assert.equal(200, response.status)
      return table.unpack(got, 1, got.n)
    end

    it("has the parts of the request line", function()
      local fields = handle("PATCH /a%20b/c?x=1&y HTTP/1.1\r\nHost: a\r\n\r\n", function(req)
        return { req.method, req.target, req.path, req.query_string, req.version, req.remote_address.address }
      end)
      assert.same({ "PATCH", "/a%20b/c?x=1&y", "/a%20b/c", "x=1&y", "1.1", "127.0.0.1" }, fields)
    end)

    it("has no query where there is none, and an empty one where it is empty", function()
      assert.is_nil(handle("GET /a HTTP/1.0\r\n\r\n", function(req)
        return req.query_string
      end))
      assert.equal("", handle("GET /a? HTTP/1.0\r\n\r\n", function(req)
        return req.query_string
      end))
    end)

    it("takes path and query out of the absolute form", function()
      local fields = handle("GET http://a:80?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", function(req)
        return { req.target, req.path, req.query_string }
      end)
      assert.same({ "http://a:80?x=1", "/", "x=1" }, fields)
    end)

    it("has the query as an ordered multimap", function()
      local query, list = handle("GET /?b=2&a=%C3%A9+x&b=%zz&&c&=d HTTP/1.1\r\nHost: a\r\n\r\n", function(req)
        local list = {}
        for name, value in pairs(req.query) do
          list[#list + 1] = name .. "=" .. value
        end
        assert.equal(req.query, req.query)
        return req.query, list
      end)
      assert.equal("2", query:get("b"))
      assert.same({ "2", "%zz" }, query:all("b"))
      assert.equal("é x", query:get("a"))
      assert.equal("", query:get("c"))
      assert.equal("d", query:get(""))
      assert.is_true(query:has("c"))
      assert.is_false(query:has("x"))
      assert.is_nil(query:get("x"))
      assert.same({ "b=2", "a=é x", "b=%zz", "c=", "=d" }, list)
    end)

    local with_headers = "GET / HTTP/1.1\r\nHost: example.com\r\nX-One: 1\r\nx-two:  b \r\nX-one: 2\r\n" ..
      "Cookie: a=b\r\ncookie: c=d\r\nUser-Agent: u\r\nUser-Agent: v\r\n\r\n"

    it("has headers, whatever their case", function()
      local seen = handle(with_headers, function(req)
        local headers = req.headers
        return { headers.host, headers["X-TWO"], headers["x-one"], headers.cookie, headers["user-agent"], headers.none }
      end)
      assert.same({ "example.com", "b", "1, 2", "a=b; c=d", "u" }, seen)
    end)

    it("keeps the headers' order and duplicates", function()
      local all, names = handle(with_headers, function(req)
        local names = {}
        for name, value in pairs(req.headers) do
          names[#names + 1] = name .. ": " .. value
        end
        return req.headers:all("X-One"), names
      end)
      assert.same({ "1", "2" }, all)
      assert.same({ "host: example.com", "x-one: 1", "x-two: b", "x-one: 2", "cookie: a=b", "cookie: c=d",
        "user-agent: u", "user-agent: v" }, names)
    end)

    it("can be kept after its end", function()
      local kept = handle(with_headers, function(req)
        return req
      end)
      collectgarbage()
      assert.equal("/", kept.path)
      assert.equal("example.com", kept.headers.host)
      assert.is_nil(kept.remote_address)
      assert.is_nil((kept:read()))
    end)

    it("takes fields of the user's, and guards its own", function()
      handle(with_headers, function(req)
        req.user = "me"
        assert.equal("me", req.user)
        assert.is_nil(req.other)
        assert.has_error(function()
          req.method = "POST"
        end)
        assert.has_error(function()
          req.headers.host = "b"
        end)
      end)
    end)

    it("prints as what it is", function()
      assert.equal("halo.http.Request: GET /x?y", handle("GET /x?y HTTP/1.0\r\n\r\n", tostring))
    end)

    local function post(body, fields)
      return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. #body .. "\r\n" .. (fields or "") .. "\r\n" .. body
    end

    it("has a body that reads like a stream", function()
      local parts = handle(post("one\ntwo\nthree"), function(req)
        return { req:read_line(), req:read_exactly(2), req:read(100), req:read() or "end" }
      end)
      assert.same({ "one", "tw", "o\nthree", "end" }, parts)
    end)

    it("has an empty body where there is none", function()
      local text, data, err = handle("GET / HTTP/1.1\r\nHost: a\r\n\r\n", function(req)
        local text = req:text()
        return text, req:read()
      end)
      assert.equal("", text)
      assert.is_nil(data)
      assert.is_nil(err)
    end)

    it("gives its text up to a limit", function()
      local body = ("x"):rep(1000)
      assert.equal(body, handle(post(body), function(req)
        return req:text()
      end))
      local text, err = handle(post(body), function(req)
        return req:text(999)
      end)
      assert.is_nil(text)
      assert.equal("ERR_TOO_LARGE", err.code)
      text, err = handle(post(body), function(req)
        return req:text()
      end, { max_body = 10 })
      assert.is_nil(text)
      assert.equal("ERR_TOO_LARGE", err.code)
      text, err = handle("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
        function(req)
          return req:text(10)
        end)
      assert.is_nil(text)
      assert.equal("ERR_TOO_LARGE", err.code)
    end)

    it("gives trailers after the body", function()
      local seen = handle("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" ..
        "5\r\nhello\r\n0\r\nX-Sum: 12\r\nx-sum: 13\r\n\r\n", function(req)
          assert.equal("hello", req:text())
          local trailers = assert(req:trailers())
          return { trailers["x-sum"], trailers.host, req.headers["x-sum"] }
        end)
      assert.same({ "12, 13" }, seen)
      assert.is_nil(handle("GET / HTTP/1.1\r\nHost: a\r\n\r\n", function(req)
        return req:trailers()["x-sum"]
      end))
    end)

    it("gives a form", function()
      local urlencoded = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
      assert.same({ a = "b c", d = "é", e = "" }, handle(post("a=b+c&d=%C3%A9&e", urlencoded), function(req)
        return req:form()
      end))
      local form, err = handle(post("{}", "Content-Type: application/json\r\n"), function(req)
        return req:form()
      end)
      assert.is_nil(form)
      assert.equal("ERR_HTTP_FORM", err.code)
      form, err = handle(post(("a&"):rep(1001), urlencoded), function(req)
        return req:form()
      end)
      assert.is_nil(form)
      assert.equal("ERR_HTTP_FORM", err.code)
    end)

    it("gives a form with files", function()
      local multipart = 'Content-Type: multipart/form-data; boundary="b--"\r\n'
      local body = "preamble\r\n--b--\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\ny\r\n" ..
        "--b--\r\ncontent-disposition: form-data; name=f; filename=\"a;b.txt\"\r\nContent-Type: text/x\r\n\r\n\0\1\r\n" ..
        "\r\n--b----\r\n"
      assert.same({ a = "x\r\ny", f = { filename = "a;b.txt", type = "text/x", size = 4, data = "\0\1\r\n" } },
        handle(post(body, multipart), function(req)
          return req:form()
        end))
      for _, broken in ipairs { body:sub(1, -6), body:gsub("name=\"a\"", "x"), "", body:gsub("\r\n\r\n", "\r\n") } do
        if type(broken) == "string" then
          local form, err = handle(post(broken, multipart), function(req)
            return req:form()
          end)
          assert.is_nil(form)
          assert.equal("ERR_HTTP_FORM", err.code)
        end
      end
    end)

    it("reads a form that curl sends", function()
      local form
      local _, port = h.serve(function(req, res)
        form = assert(req:form())
        res:send("ok")
      end)
      local path = os.tmpname()
      support.write(path, "content\n")
      assert.equal("ok", curl(("-F a=b -F 'file=@%s;type=text/plain;filename=x.txt' http://127.0.0.1:%d/"):format(path, port)))
      os.remove(path)
      assert.same({ a = "b", file = { filename = "x.txt", type = "text/plain", size = 8, data = "content\n" } }, form)
    end)
  end)

  describe("a response", function()
    ---Gives what the handler makes the server answer.
    local function respond(handler, request)
      local problem
      local _, port = h.serve(function(req, res)
        local ok, err = pcall(handler, req, res)
        if not ok then
          problem = err
          res:close()
        end
      end)
      local client = h.client(port)
      request = request or "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
      client:send(request)
      local response, err = client:response(request:find("^HEAD"))
      assert(not problem, problem)
      return assert(response, err), client
    end

    it("is sent with length, type and date", function()
      local r = respond(function(_, res)
        assert.is_true(res:send("hello"))
      end)
      assert.equal("HTTP/1.1 200 OK", r.line)
      assert.equal("hello", r.body)
      assert.equal("5", r.headers["content-length"])
      assert.equal("text/plain; charset=utf-8", r.headers["content-type"])
      assert.truthy(r.headers.date:match("^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$"))
      assert.is_nil(r.headers.connection)
    end)

    it("has the status and headers that were set", function()
      local r = respond(function(_, res)
        res.status = 404
        res.headers["X-A"] = "b"
        res.headers["x-n"] = 12
        res.headers["Set-Cookie"] = { "a=b", "c=d" }
        res.headers["content-type"] = "text/html"
        res.headers["X-Gone"] = "x"
        res.headers["x-gone"] = nil
        res.headers["x-a"] = "c"
        res.headers:add("X-a", "d")
        assert.equal(404, res.status)
        assert.equal("c, d", res.headers["X-A"])
        assert.same({ "a=b", "c=d" }, res.headers:all("set-cookie"))
        res:send("hello")
      end)
      assert.equal("HTTP/1.1 404 Not Found", r.line)
      assert.same({ "Date", "x-n", "Set-Cookie", "Set-Cookie", "content-type", "x-a", "X-a", "Content-Length" }, r.names)
      assert.equal("text/html", r.headers["content-type"])
    end)

    it("takes all headers at once", function()
      local r = respond(function(_, res)
        res.headers["X-Old"] = "x"
        res.headers = { ["X-New"] = { 1, 2 }, Date = "never" }
        local seen = {}
        for name, value in pairs(res.headers) do
          seen[#seen + 1] = name .. "=" .. value
        end
        table.sort(seen)
        assert.same({ "Date=never", "X-New=1", "X-New=2" }, seen)
        res:send()
      end)
      assert.is_nil(r.headers["x-old"])
      assert.equal("never", r.headers.date)
      assert.equal("2", r.headers["x-new"])
    end)

    it("raises for what cannot be a header, where it is set", function()
      respond(function(_, res)
        local function set(name, value)
          return pcall(function()
            res.headers[name] = value
          end)
        end
        for _, value in ipairs { "a\r\nb", "a\nb", "a\rb", "a\0b", "\1", "\127", true, {}, { {} }, print } do
          if type(value) ~= "table" or #value > 0 then
            local ok, err = set("X", value)
            assert.is_false(ok)
            assert.truthy(err:find("http_spec.lua:", 1, true), err)
          end
        end
        for _, name in ipairs { "", "a b", "a:", "a\r\n", "é", "a\0" } do
          assert.is_false((set(name, "x")))
        end
        assert.is_false((set(1, "x")))
        assert.is_false((set("Content-Length", "x")))
        assert.is_false((set("Content-Length", "-1")))
        assert.is_false((set("Transfer-Encoding", "chunked")))
        assert.is_false(pcall(function()
          res.headers = { X = "a\nb" }
        end))
        res:send("fine")
      end)
    end)

    it("raises for what cannot be a status", function()
      respond(function(_, res)
        for _, status in ipairs { 99, 100, 199, 1000, 200.5, "x", true } do
          assert.is_false(pcall(function()
            res.status = status
          end))
        end
        assert.is_false(pcall(function()
          res.stauts = 200
        end))
        res.status = 299
        res:send()
      end)
    end)

    it("sends bytes of all kinds", function()
      assert.equal("a\0b", respond(function(_, res)
        res:send("a\0b")
      end).body)
      assert.equal("buffer", respond(function(_, res)
        res:send(buffer.from("buffer"))
      end).body)
      local r = respond(function(_, res)
        res:send()
      end)
      assert.equal("0", r.headers["content-length"])
      assert.is_nil(r.headers["content-type"])
      respond(function(_, res)
        assert.has_error(function()
          res:send(nil)
        end)
        assert.has_error(function()
          res:send(true)
        end)
        res:send()
      end)
    end)

    it("comes in pieces", function()
      local r = respond(function(_, res)
        assert.is_true(res:write("one ", "two "))
        assert.is_true(res:write(""))
        assert.is_true(res:write(buffer.from("three")))
        assert.is_true(res:finish())
      end)
      assert.equal("chunked", r.headers["transfer-encoding"])
      assert.is_nil(r.headers["content-length"])
      assert.equal("one two three", r.body)
      assert.equal("abc", respond(function(_, res)
        res:write("a")
        res:finish("b", "c")
      end).body)
      assert.equal("ab", respond(function(_, res)
        res:finish("a", "b")
      end).body)
      local many = {}
      for i = 1, 100 do
        many[i] = tostring(i)
      end
      assert.equal(table.concat(many), respond(function(_, res)
        res:write(table.unpack(many))
        res:finish()
      end).body)
    end)

    it("is finished with all that was written when the handler returns", function()
      assert.equal("ab", respond(function(_, res)
        res:write("a")
        res:write("b")
      end).body)
    end)

    it("honours a Content-Length that was set", function()
      local r = respond(function(_, res)
        res.headers["Content-Length"] = 6
        res:write("abc")
        res:finish("def")
      end)
      assert.is_nil(r.headers["transfer-encoding"])
      assert.equal("abcdef", r.body)
      respond(function(_, res)
        res.headers["Content-Length"] = 6
        assert.has_error(function()
          res:send("abc")
        end)
        assert.has_error(function()
          res:write("abcdefg")
        end)
        res:write("abcde")
        assert.has_error(function()
          res:write("fg")
        end)
        res:finish("f")
      end)
    end)

    it("is cut off where less comes than Content-Length says", function()
      local problem
      local _, port = h.serve(function(_, res)
        res.headers["Content-Length"] = 6
        res:write("abc")
        problem = select(2, pcall(res.finish, res))
      end)
      local text = h.answer(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.truthy(text:find("\r\n\r\nabc$"))
      assert.truthy(problem:find("3 bytes less"))
    end)

    it("has no body for HEAD", function()
      local r, client = respond(function(_, res)
        res:send("hello")
      end, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal("5", r.headers["content-length"])
      assert.equal(200, client:get("/").status)
      r, client = respond(function(_, res)
        res:write("a")
        res:finish("b")
      end, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal("chunked", r.headers["transfer-encoding"])
      assert.equal("ab", client:get("/").body)
      r = respond(function(_, res)
        res.headers["Content-Length"] = 123
        res:send()
      end, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal("123", r.headers["content-length"])
    end)

    it("has no body with 204 and 304", function()
      for _, status in ipairs { 204, 304 } do
        for _, send in ipairs { "send", "finish", "write" } do
          local r, client = respond(function(_, res)
            res.status = status
            res[send](res, "ignored")
          end)
          assert.equal(status, r.status)
          assert.is_nil(r.headers["transfer-encoding"])
          if status == 204 then
            assert.is_nil(r.headers["content-length"])
          end
          assert.equal(status, client:get("/").status)
        end
      end
    end)

    it("redirects", function()
      local r = respond(function(_, res)
        res:redirect("/there?x=1")
      end)
      assert.equal("HTTP/1.1 302 Found", r.line)
      assert.equal("/there?x=1", r.headers.location)
      assert.equal("HTTP/1.1 308 Permanent Redirect", respond(function(_, res)
        res:redirect("/", 308)
      end).line)
      respond(function(_, res)
        assert.has_error(function()
          res:redirect("/\r\nX: y")
        end)
        assert.has_error(function()
          res:redirect("/", 200)
        end)
        res:send()
      end)
    end)

    it("can be given only once", function()
      respond(function(_, res)
        res:send("one")
        local ok, err = res:send("two")
        assert.is_nil(ok)
        assert.equal("EPIPE", err.code)
        ok, err = res:write("two")
        assert.is_nil(ok)
        assert.equal("EPIPE", err.code)
        ok, err = res:finish()
        assert.is_nil(ok)
        assert.equal("EPIPE", err.code)
        assert.has_error(function()
          res.status = 500
        end)
        assert.has_error(function()
          res.headers.X = "y"
        end)
        assert.equal(200, res.status)
      end)
      respond(function(_, res)
        res:write("a")
        assert.has_error(function()
          res:send("b")
        end)
        assert.has_error(function()
          res:redirect("/")
        end)
      end)
    end)

    it("cannot be given any more once the handler has returned", function()
      local kept
      respond(function(_, res)
        kept = res
        res:send("x")
      end)
      assert.equal(200, kept.status)
      local ok, err = kept:send("y")
      assert.is_nil(ok)
      assert.equal("EPIPE", err.code)
    end)

    it("sends a table as JSON, if there is halo.json", function()
      local found = pcall(require, "halo.json")
      local r = respond(function(_, res)
        if found then
          res:send({ a = { 1, 2 } })
        else
          assert.has_error(function()
            res:send({})
          end)
          res.headers["Content-Type"] = "application/json"
          res:send('{"a":[1,2]}')
        end
      end)
      assert.equal("application/json", r.headers["content-type"])
      assert.equal('{"a":[1,2]}', r.body)
    end)
  end)

  describe("a connection", function()
    local function echo(req, res)
      res:send(req.method .. " " .. req.path .. " " .. req:text())
    end

    it("is kept for the next request", function()
      local server, port = h.serve(echo)
      local client = h.client(port)
      for i = 1, 5 do
        assert.equal("GET /" .. i .. " ", client:get("/" .. i).body)
      end
      assert.equal(1, server:connections())
    end)

    it("answers pipelined requests in order, whatever time each takes", function()
      local running, most = 0, 0
      local _, port = h.serve(function(req, res)
        running = running + 1
        most = math.max(most, running)
        local n = tonumber(req.path:sub(2))
        for _ = 1, n % 4 do
          halo.yield()
        end
        if n % 3 == 0 then
          res:write("piece ")
          halo.yield()
          res:finish(tostring(n))
        else
          res:send(tostring(n))
        end
        running = running - 1
      end)
      local client = h.client(port)
      local parts = {}
      for i = 1, 200 do
        parts[i] = ("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i)
      end
      client:send(table.concat(parts))
      for i = 1, 200 do
        local body = client:response().body
        assert.equal(i % 3 == 0 and "piece " .. i or tostring(i), body)
      end
      assert.equal(1, most)
    end)

    it("answers pipelined requests with bodies", function()
      local _, port = h.serve(echo)
      local client = h.client(port)
      client:send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" ..
        "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n" ..
        "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal("POST /1 abc", client:response().body)
      assert.equal("POST /2 def", client:response().body)
      assert.equal("GET /3 ", client:response().body)
    end)

    it("stays in step when bodies are not read", function()
      local _, port = h.serve(function(req, res)
        res:send(req.path)
      end)
      local client = h.client(port)
      for i = 1, 3 do
        client:send(("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"):format(i))
        client:send(("GET /smuggled HTTP/1.1\r\n"):rep(2084):sub(1, 50000))
        assert.equal("/" .. i, client:response().body)
        client:send(("POST /c%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"):format(i))
        client:send("ff\r\n" .. ("x"):rep(255) .. "\r\n0\r\n\r\n")
        assert.equal("/c" .. i, client:response().body)
      end
    end)

    it("is closed when more of a body is left than is worth reading", function()
      local _, port = h.serve(function(_, res)
        res:send("no")
      end)
      local client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc")
      local r = client:response()
      assert.equal("close", r.headers.connection)
      assert.is_true(client:is_closed())
      client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
      assert.equal("no", client:response().body)
      local chunk = "8000\r\n" .. ("x"):rep(0x8000) .. "\r\n"
      for _ = 1, 4 do
        client.socket:write(chunk)
      end
      assert.equal("", (client:rest()))
    end)

    it("is closed when the client asks for it", function()
      local _, port = h.serve(echo)
      local text = h.answer(port, "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n" ..
        "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.same({ 200 }, h.statuses(text))
      assert.truthy(text:find("\r\nConnection: close\r\n", 1, true))
    end)

    it("is closed when the handler asks for it", function()
      local _, port = h.serve(function(_, res)
        res.headers.Connection = "close"
        res:send("bye")
      end)
      local text = h.answer(port, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.same({ 200 }, h.statuses(text))
      assert.equal(1, select(2, text:gsub("Connection: close", "")))
    end)

    it("speaks HTTP/1.0: closed, unless asked to keep", function()
      local _, port = h.serve(echo)
      local text = h.answer(port, "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n")
      assert.same({ 200 }, h.statuses(text))
      assert.truthy(text:find("\r\nConnection: close\r\n", 1, true))
      local client = h.client(port)
      for _ = 1, 2 do
        client:send("GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        assert.equal("keep-alive", client:response().headers.connection)
      end
    end)

    it("ends a body in pieces with itself in HTTP/1.0", function()
      local _, port = h.serve(function(_, res)
        res:write("one ")
        halo.yield()
        res:write("two")
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      local r = client:response()
      assert.is_nil(r.headers["transfer-encoding"])
      assert.equal("close", r.headers.connection)
      assert.equal("one two", r.body)
    end)

    it("answers a client that has ended its side", function()
      local _, port = h.serve(function(_, res)
        halo.sleep(0.01)
        res:send("late")
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /")
      client.socket:finish()
      assert.equal("late", client:response().body)
      assert.equal("late", client:response().body)
      assert.is_true(client:is_closed())
    end)

    it("does not take what follows an upgrade for a request", function()
      local _, port = h.serve(echo)
      local text = h.answer(port, "GET /1 HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" ..
        "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.same({ 200 }, h.statuses(text))
      text = h.answer(port, "POST /1 HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n" ..
        "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.same({ 200 }, h.statuses(text))
      assert.truthy(text:find("POST /1 abc", 1, true))
    end)

    it("waits with 100 Continue until the body is wanted", function()
      local _, port = h.serve(function(req, res)
        halo.yield()
        res:send(req:text())
      end)
      local client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
      assert.equal("HTTP/1.1 100 Continue", client:response().line)
      client:send("hello")
      assert.equal("hello", client:response().body)
      assert.equal(200, client:get("/").status)
    end)

    it("sends 100 Continue when told to, and once", function()
      local _, port = h.serve(function(req, res)
        assert.is_true(res:continue())
        assert.is_true(res:continue())
        res:send(req:text())
      end)
      local client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
      assert.equal(100, client:response().status)
      client:send("hello")
      assert.equal("hello", client:response().body)
    end)

    it("does not send 100 Continue for a body that comes anyway, or is refused", function()
      local _, port = h.serve(function(req, res)
        res:send(req.path == "/read" and req:text() or "no")
      end)
      local head = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
      local client = h.client(port)
      client:send("POST /read" .. head .. "hello")
      assert.equal("hello", client:response().body)
      client:send("POST /refuse" .. head)
      local r = client:response()
      assert.equal("no", r.body)
      assert.equal("close", r.headers.connection)
      assert.is_true(client:is_closed())
    end)

    it("carries large bodies both ways, without holding them", function()
      local _, port = h.serve(function(req, res)
        for chunk in req:chunks() do
          assert(res:write(chunk))
        end
        res:finish()
      end)
      local client = h.client(port)
      local piece = ("0123456789abcdef"):rep(4096)
      local total = 200 * #piece
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. total .. "\r\n\r\n")
      local writer = halo.spawn(function()
        for _ = 1, 200 do
          assert(client.socket:write(piece))
        end
      end)
      collectgarbage()
      local r = client:response()
      halo.await(writer)
      assert.equal(total, #r.body)
      assert.equal(piece:rep(200), r.body)
    end)

    it("holds back a client whose body nobody reads", function()
      local go, wait = h.latch()
      local received
      local _, port = h.serve(function(req, res)
        wait()
        local text = assert(req:text(8 << 20))
        received = #text
        res:send("ok")
      end)
      local client = h.client(port)
      local size = 8 << 20
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. size .. "\r\n\r\n")
      local written = false
      halo.spawn(function()
        assert(client.socket:write(("x"):rep(size)))
        written = true
      end)
      for _ = 1, 50 do
        halo.sleep(0.002)
      end
      assert.is_false(written)
      go()
      assert.equal("ok", client:response().body)
      assert.equal(size, received)
    end)

    it("holds back a handler whose client does not read", function()
      local written = 0
      local _, port = h.serve(function(_, res)
        for _ = 1, 300 do
          if not res:write(("x"):rep(65536)) then
            return
          end
          written = written + 1
        end
      end)
      local client = h.client(port)
      client:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      local before = -1
      h.until_true(function() -- until it has come to a halt
        local same = before == written and written > 0
        before = written
        halo.sleep(0.02)
        return same
      end)
      assert.is_true(written < 300, written)
      assert.equal(300 * 65536, #client:response().body)
    end)

    it("starts no request while the answers before have not been taken", function()
      local handled = 0
      local _, port = h.serve(function(_, res)
        handled = handled + 1
        res:send(("x"):rep(1 << 20))
      end)
      local client = h.client(port)
      client:send(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(100))
      for _ = 1, 20 do
        halo.sleep(0.002)
      end
      assert.is_true(handled < 50, handled)
      for _ = 1, 100 do
        assert.equal(1 << 20, #client:response().body)
      end
      assert.equal(100, handled)
    end)
  end)

  describe("a handler", function()
    it("is run in a task of its own, as a macrotask", function()
      local log = {}
      local function note(text)
        log[#log + 1] = text
      end
      local _, port = h.serve(function(req, res)
        assert(halo.current())
        note("handler" .. req.path)
        halo.queue_microtask(note, "microtask" .. req.path)
        halo.next_tick(note, "tick" .. req.path)
        res:send("x")
      end)
      local client = h.client(port)
      client:send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      client:response()
      client:response()
      assert.same({ "handler/1", "tick/1", "microtask/1", "handler/2", "tick/2", "microtask/2" }, log)
    end)

    it("may go on after it has answered, and holds up nobody", function()
      local go, wait = h.latch()
      local log = {}
      local _, port = h.serve(function(req, res)
        res:send(req.path)
        if req.path == "/1" then
          wait()
          log[#log + 1] = res.status .. req.path
        end
      end)
      local client = h.client(port)
      assert.equal("/1", client:get("/1").body)
      assert.equal("/2", client:get("/2").body)
      assert.same({}, log)
      go()
      halo.sleep(0)
      assert.same({ "200/1" }, log)
    end)

    it("may read the body after it has answered", function()
      local body
      local done, wait = h.latch()
      local _, port = h.serve(function(req, res)
        res:send("early")
        body = req:text()
        done()
      end)
      local client = h.client(port)
      client:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
      assert.equal("early", client:response().body)
      client:send("hello")
      wait()
      assert.equal("hello", body)
      assert.equal(200, client:get("/").status)
    end)

    local script = [[
      local halo, http, net = require "halo", require "halo.http", require "halo.net"
      halo.spawn(function()
        local server = assert(http.serve({ host = "127.0.0.1" }, function(req, res)
          local function fail() error("oops " .. req.path) end
          if req.path == "/wait" then halo.sleep(0.001) fail()
          elseif req.path == "/begun" then res:write("begun") fail()
          elseif req.path == "/sent" then res:send("sent") fail()
          elseif req.path == "/table" then error({})
          elseif req.path == "/headers" then res.status = 201; res.headers.X = "y"; fail()
          elseif req.path == "/none" then return
          elseif req.path == "/ok" then return res:send("ok") end
          fail()
        end))
        local socket = assert(net.connect { host = "127.0.0.1", port = server:address().port })
        for path in ("raise wait sent table headers none ok begun"):gmatch("%a+") do
          socket:write("GET /" .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
          local head = socket:read_until("\r\n\r\n")
          local length = tonumber(head:match("Content%-Length: (%d+)"))
          print(path, head:match("^HTTP/1.1 (%d+)"), head:match("Connection"), head:match("\nX:"),
            length and socket:read_exactly(length):gsub("\n", "") or socket:read_all():gsub("[\r\n]", "|"))
        end
        socket:close()
        server:close()
      end)
      if not arg.command then halo.run() end
    ]]

    for _, host in ipairs { "halo", "lua5.4" } do
      it("that raises is answered with 500, in " .. host, function()
        local out, err, code = support.run_script(host, script)
        local lines = {}
        for line in out:gmatch("[^\n]+") do
          lines[#lines + 1] = line
        end
        assert.same({
          "raise\t500\tnil\tnil\tInternal Server Error",
          "wait\t500\tnil\tnil\tInternal Server Error",
          "sent\t200\tnil\tnil\tsent",
          "table\t500\tnil\tnil\tInternal Server Error",
          "headers\t500\tnil\tnil\tInternal Server Error",
          "none\t500\tnil\tnil\tInternal Server Error",
          "ok\t200\tnil\tnil\tok",
          "begun\t200\tnil\tnil\t5||begun||",
        }, lines)
        assert.equal(0, code)
        assert.truthy(err:find("oops /raise\nstack traceback:", 1, true), err)
        assert.truthy(err:find("oops /wait\nstack traceback:", 1, true), err)
        assert.truthy(err:find("in local 'fail'", 1, true) or err:find("in upvalue 'fail'", 1, true), err)
        assert.truthy(err:find("the handler ended without an answer to GET /none", 1, true), err)
      end)
    end
  end)

  describe("curl", function()
    local handler = function(req, res)
      if req.path == "/upload" then
        local n = 0
        for chunk in req:chunks() do
          n = n + #chunk
        end
        res:send(tostring(n))
      elseif req.path == "/chunks" then
        for i = 1, 10 do
          res:write(("%d\n"):format(i))
          halo.yield()
        end
      elseif req.path == "/redirect" then
        res:redirect("/hello")
      else
        res:send("hello " .. tostring(req.headers["user-agent"]:match("^curl")))
      end
    end

    local function run(args)
      local _, port = h.serve(handler)
      return curl((args:gsub("@", "http://127.0.0.1:" .. port)))
    end

    it("gets", function()
      assert.equal("hello curl", run "@/")
      assert.equal("hello curlhello curl", run "@/1 @/2")
      assert.equal("hello curl", run "-0 @/")
      assert.equal("hello curl", run "-L @/redirect")
      assert.equal("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", run "@/chunks")
      assert.truthy(run("-I @/"):find("^HTTP/1.1 200 OK\r\n"))
      assert.equal("hello curl", run "--http2 @/")
    end)

    it("uploads", function()
      local path = os.tmpname()
      support.write(path, ("x"):rep(3000000))
      assert.equal("3000000", run("-T " .. path .. " @/upload"))
      assert.equal("3000000", run("-H 'Transfer-Encoding: chunked' -T " .. path .. " @/upload"))
      assert.equal("3000000", run("-H Expect: --data-binary @" .. path .. " @/upload") ~= "" and "3000000")
      os.remove(path)
    end)
  end)
end)
