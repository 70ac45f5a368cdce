-- What a request may look like: RFC 9112 to the letter, since whatever two
-- servers in a row understand differently can be used for smuggling.
local http = require "spec.http.support"

local expect = assert

describe("halo.http's parser", function()
  before_each(http.setup)
  after_each(http.teardown)

  ---Sends a good request, the bytes, and another good request, which must
  ---never be answered; gives the statuses.
  local function try(bytes, opts)
    local seen = {}
    local _, port = http.serve(function(req, res)
      seen[#seen + 1] = req.target
      local text, err = req:text()
      if not text then
        seen[#seen + 1] = err.code
      end
      res:send("ok")
    end, opts)
    local text = http.answer(port, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n" .. bytes ..
      "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    for _, target in ipairs(seen) do
      expect(target ~= "/smuggled", "a request behind a refused one was handled")
    end
    return http.statuses(text), text, seen
  end

  local H = "Host: a\r\n"
  local long = ("x"):rep(20000)

  local refused = {
    -- framing
    { "both Content-Length and Transfer-Encoding", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    { "both, the other way round", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" },
    { "Content-Length lines that differ", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" },
    { "Content-Length lines that agree", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" },
    { "a list in Content-Length", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 5, 5\r\n\r\nhello" },
    { "a sign in Content-Length", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: +5\r\n\r\nhello" },
    { "a negative Content-Length", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: -5\r\n\r\nhello" },
    { "a blank inside Content-Length", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 1 0\r\n\r\nhello" },
    { "a hexadecimal Content-Length", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 0x5\r\n\r\nhello" },
    { "an empty Content-Length", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: \r\n\r\nhello" },
    { "a Content-Length that no integer holds", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Content-Length: 99999999999999999999\r\n\r\nhello" },
    { "a transfer coding other than chunked", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: gzip\r\n\r\nhello" },
    { "identity", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: identity\r\n\r\nhello" },
    { "a coding that is not quite chunked", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" },
    { "a vertical tab before chunked", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" },
    { "chunked in quotes", 400,
      "POST / HTTP/1.1\r\n" .. H .. 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' },
    { "an empty Transfer-Encoding", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding:\r\n\r\n0\r\n\r\n" },
    { "chunked that is not last", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" },
    { "chunked that is not last, in two lines", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" },
    { "chunked twice", 501,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" },
    { "another coding before chunked", 501,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
    { "Transfer-Encoding in HTTP/1.0", 400,
      "POST / HTTP/1.0\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    -- lines
    { "a bare LF after the request line", 400, "GET / HTTP/1.1\n" .. H .. "\r\n" },
    { "a bare LF after a header", 400, "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n" },
    { "a bare LF as the empty line", 400, "GET / HTTP/1.1\r\n" .. H .. "\n" },
    { "bare LFs throughout", 400, "GET / HTTP/1.1\nHost: a\n\n" },
    { "a bare CR in a value", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\rb\r\n\r\n" },
    { "a bare CR after a header", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\rY: b\r\n\r\n" },
    { "a bare CR as the empty line", 400, "GET / HTTP/1.1\r\n" .. H .. "\rX: a\r\n\r\n" },
    { "a bare CR in the request line", 400, "GET /\r HTTP/1.1\r\n" .. H .. "\r\n" },
    { "CR CR LF", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\r\r\n\r\n" },
    { "a folded line", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\r\n b\r\n\r\n" },
    { "a line folded with a tab", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\r\n\tb\r\n\r\n" },
    { "a first line that is folded", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n" },
    { "a blank before the colon", 400, "GET / HTTP/1.1\r\n" .. H .. "X : a\r\n\r\n" },
    { "a tab before the colon", 400, "GET / HTTP/1.1\r\n" .. H .. "X\t: a\r\n\r\n" },
    { "a blank before Transfer-Encoding's colon", 400,
      "POST / HTTP/1.1\r\n" .. H .. "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" },
    { "a header without a colon", 400, "GET / HTTP/1.1\r\n" .. H .. "X\r\n\r\n" },
    { "a header without a name", 400, "GET / HTTP/1.1\r\n" .. H .. ": a\r\n\r\n" },
    { "a name that is no token", 400, "GET / HTTP/1.1\r\n" .. H .. "X(a): b\r\n\r\n" },
    { "a name beyond ASCII", 400, "GET / HTTP/1.1\r\n" .. H .. "X\xe9: b\r\n\r\n" },
    { "NUL in a value", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\0b\r\n\r\n" },
    { "NUL in a name", 400, "GET / HTTP/1.1\r\n" .. H .. "X\0: a\r\n\r\n" },
    { "NUL in the target", 400, "GET /\0 HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a control character in a value", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\1b\r\n\r\n" },
    { "DEL in a value", 400, "GET / HTTP/1.1\r\n" .. H .. "X: a\127b\r\n\r\n" },
    -- the request line
    { "HTTP/0.9", 400, "GET /\r\n\r\n" },
    { "two blanks", 400, "GET  / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a blank too many before the version", 400, "GET /  HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a blank after the version", 400, "GET / HTTP/1.1 \r\n" .. H .. "\r\n" },
    { "a tab for a blank", 400, "GET\t/\tHTTP/1.1\r\n" .. H .. "\r\n" },
    { "a blank before the method", 400, " GET / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "garbage before the method", 400, "\0\0GET / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a TLS handshake", 400, "\22\3\1\2\0\1\0\1\252\3\3" },
    { "a version that is none", 400, "GET / HTTP/1.x\r\n" .. H .. "\r\n" },
    { "a version of two digits", 400, "GET / HTTP/1.10\r\n" .. H .. "\r\n" },
    { "a version in lower case", 400, "GET / http/1.1\r\n" .. H .. "\r\n" },
    { "another protocol", 400, "GET / RTSP/1.0\r\n" .. H .. "\r\n" },
    { "HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
    { "HTTP/1.2", 505, "GET / HTTP/1.2\r\n" .. H .. "\r\n" },
    { "HTTP/3.1", 505, "GET / HTTP/3.1\r\n" .. H .. "\r\n" },
    { "a fragment", 400, "GET /a#b HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a target beyond ASCII", 400, "GET /\xc3\xa9 HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a target that is no path", 400, "GET a HTTP/1.1\r\n" .. H .. "\r\n" },
    { "an asterisk, but no OPTIONS", 400, "GET * HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a scheme that is not HTTP's", 400, "GET ftp://a/ HTTP/1.1\r\n" .. H .. "\r\n" },
    { "CONNECT to no authority", 400, "CONNECT / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "CONNECT", 501, "CONNECT a:80 HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a method in lower case", 501, "get / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "an unknown method", 501, "FROBNICATE / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a method without an end", 501, ("A"):rep(100) .. " / HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a method that is no token", 400, "G(T / HTTP/1.1\r\n" .. H .. "\r\n" },
    -- Host
    { "no Host", 400, "GET / HTTP/1.1\r\n\r\n" },
    { "two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
    { "an empty Host", 400, "GET / HTTP/1.1\r\nHost: \r\n\r\n" },
    { "a Host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
    { "a Host with a user", 400, "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n" },
    { "a Host with a blank", 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
    { "a list of Hosts", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" },
    { "a Host whose port is none", 400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n" },
    { "a Host whose port is too large", 400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n" },
    { "a Host that is an open bracket", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n" },
    { "a Host with a broken escape", 400, "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n" },
    { "two Hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n" },
    { "a target on another host", 400, "GET http://b/ HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a target on another port", 400, "GET http://a:81/ HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a target without a host", 400, "GET http:///x HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a target with a user", 400, "GET http://me@a/ HTTP/1.1\r\n" .. H .. "\r\n" },
    -- sizes
    { "a target over 8 KiB", 414, "GET /" .. long:sub(1, 8192) .. " HTTP/1.1\r\n" .. H .. "\r\n" },
    { "a target that never ends", 414, "GET /" .. long },
    { "header lines over 16 KiB", 431, "GET / HTTP/1.1\r\n" .. H .. "X: " .. long .. "\r\n\r\n" },
    { "a header that never ends", 431, "GET / HTTP/1.1\r\n" .. H .. "X: " .. long },
    { "more than 100 header lines", 431, "GET / HTTP/1.1\r\n" .. H .. ("X: a\r\n"):rep(100) .. "\r\n" },
    -- expectations
    { "an expectation that is not supported", 417, "GET / HTTP/1.1\r\n" .. H .. "Expect: more\r\n\r\n" },
    { "two expectations", 417,
      "GET / HTTP/1.1\r\n" .. H .. "Expect: 100-continue\r\nExpect: x\r\n\r\n" },
  }

  for _, case in ipairs(refused) do
    local name, status, bytes = table.unpack(case)
    it("refuses " .. name, function()
      local statuses, text, seen = try(bytes)
      assert.same({ 200, status }, statuses)
      assert.same({ "/first" }, seen)
      assert.truthy(text:match("\r\nConnection: close\r\n"))
    end)
  end

  local chunked = "POST /body HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n"
  local bodies = {
    { "a chunk size that is none", "zz\r\nhello\r\n0\r\n\r\n" },
    { "an empty chunk size", "\r\nhello\r\n0\r\n\r\n" },
    { "a negative chunk size", "-5\r\nhello\r\n0\r\n\r\n" },
    { "a chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n" },
    { "a blank before the chunk size", " 5\r\nhello\r\n0\r\n\r\n" },
    { "a blank after the chunk size", "5 \r\nhello\r\n0\r\n\r\n" },
    { "a chunk size that no integer holds", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n" },
    { "a bare LF after the chunk size", "5\nhello\r\n0\r\n\r\n" },
    { "a bare CR after the chunk size", "5\rhello\r\n0\r\n\r\n" },
    { "a chunk that is longer than it says", "4\r\nhello\r\n0\r\n\r\n" },
    { "a bare LF after a chunk", "5\r\nhello\n0\r\n\r\n" },
    { "a control character in an extension", "5;a=\1\r\nhello\r\n0\r\n\r\n" },
    { "a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n" },
    { "a bare LF after the last chunk", "0\n\r\n" },
    { "a bare LF as the last line", "0\r\n\n" },
    { "a folded trailer", "0\r\nX: a\r\n b\r\n\r\n" },
    { "a trailer without a colon", "0\r\nX\r\n\r\n" },
    { "NUL in a trailer", "0\r\nX: \0\r\n\r\n" },
    { "an extension over 1 KiB", "5;" .. long:sub(1, 1024) .. "\r\nhello\r\n0\r\n\r\n", 413, "ERR_TOO_LARGE" },
    { "extensions over 16 KiB", ("1;" .. long:sub(1, 1000) .. "\r\na\r\n"):rep(17) .. "0\r\n\r\n", 413,
      "ERR_TOO_LARGE" },
    { "trailers over 8 KiB", "0\r\nX: " .. long:sub(1, 8192) .. "\r\n\r\n", 431, "ERR_TOO_LARGE" },
  }

  for _, case in ipairs(bodies) do
    local name, body, status, code = table.unpack(case)
    it("refuses " .. name, function()
      local statuses, _, seen = try(chunked .. body)
      assert.same({ 200, status or 400 }, statuses)
      assert.same({ "/first", "/body", code or "ERR_HTTP_BODY" }, seen)
    end)

    it("refuses " .. name .. " that comes byte by byte", function()
      local seen
      local _, port = http.serve(function(req, res)
        local text, err = req:text()
        seen = text or err.code
        res:send("ok")
      end)
      local client = http.client(port)
      client:send(chunked)
      if #body < 100 then
        for i = 1, #body do
          client:send(body:sub(i, i))
        end
      else
        client:send(body)
      end
      local text = client:rest()
      assert.same({ status or 400 }, http.statuses(text))
      assert.equal(code or "ERR_HTTP_BODY", seen)
    end)
  end

  local accepted = {
    { "an IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n" },
    { "a Host with a port", "GET / HTTP/1.1\r\nHost: a.b-c_d.example:80\r\n\r\n" },
    { "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n" },
    { "the absolute form", "GET http://A/ HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "the absolute form with the scheme's port", "GET http://a:80/?x HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "the absolute form without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "one empty line before the request", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "no blank after a colon", "GET / HTTP/1.1\r\nHost:a\r\n\r\n" },
    { "blanks and tabs around a value", "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n" },
    { "a tab and bytes beyond ASCII in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\tb\r\n\r\n" },
    { "an empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n" },
    { "a target of 8 KiB", "GET /" .. long:sub(1, 8191) .. " HTTP/1.1\r\n" .. H .. "\r\n" },
    { "100 header lines", "GET / HTTP/1.1\r\n" .. H .. ("X: a\r\n"):rep(99) .. "\r\n" },
    { "a body with GET", "GET / HTTP/1.1\r\n" .. H .. "Content-Length: 5\r\n\r\nhello", "hello" },
    { "a Content-Length with zeros before it", "PUT / HTTP/1.1\r\n" .. H .. "Content-Length: 0005\r\n\r\nhello",
      "hello" },
    { "Chunked, in any case", "PUT / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: CHUNKed\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "hello" },
    { "chunk sizes in any case", "PUT / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n" ..
      "00A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789" },
    { "chunk extensions", "PUT / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n" ..
      "5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n", "hello" },
    { "trailers", "PUT / HTTP/1.1\r\n" .. H .. "Transfer-Encoding: chunked\r\n\r\n" ..
      "5\r\nhello\r\n0\r\nX: a\r\nY: b\r\n\r\n", "hello" },
  }

  for _, case in ipairs(accepted) do
    local name, bytes, body = table.unpack(case)
    for _, size in ipairs { 65536, 7, 1 } do
      if size > 1 or #bytes < 1000 then
        it(("takes %s, %d bytes at a time"):format(name, size), function()
          local text
          local _, port = http.serve(function(req, res)
            text = req:text()
            res.headers.Connection = "close"
            res:send("ok")
          end)
          local client = http.client(port)
          for i = 1, #bytes, size do
            client:send(bytes:sub(i, i + size - 1))
          end
          local answer = client:response()
          assert.equal(200, answer.status)
          assert.equal(body or "", text)
        end)
      end
    end
  end

  -- Deterministic, and the same on every machine.
  local function generator(seed)
    local state = seed
    return function(n)
      state = (state * 6364136223846793005 + 1442695040888963407)
      return ((state >> 33) % n) + 1
    end
  end

  local valid = {
    "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\n",
    "PUT http://a/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
  }
  local bits = { "\r", "\n", "\r\n", " ", "\t", "\0", ":", ";", ",", "0", "9", "f", "\127", "\255", "chunked",
    "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "HTTP/1.1", "\r\n\r\n" }

  local function mutate(random)
    local text = valid[random(#valid)]
    for _ = 1, random(4) do
      local at = random(#text + 1)
      local what = random(5)
      if what == 1 then -- change a byte
        text = text:sub(1, at - 1) .. string.char(random(256) - 1) .. text:sub(at + 1)
      elseif what == 2 then -- take some out
        text = text:sub(1, at - 1) .. text:sub(at + random(8))
      elseif what == 3 then -- put something in
        text = text:sub(1, at - 1) .. bits[random(#bits)] .. text:sub(at)
      elseif what == 4 then -- double a piece
        local piece = text:sub(at, at + random(16))
        text = text:sub(1, at - 1) .. piece .. piece .. text:sub(at + #piece)
      else -- cut it off, and another behind it
        text = text:sub(1, at) .. valid[random(#valid)]
      end
    end
    return text
  end

  it("survives 20,000 mutations of good requests", function()
    local handled = 0
    local _, port = http.serve(function(req, res)
      handled = handled + 1
      req:text()
      res:send("ok")
    end)
    local random = generator(20240607)
    local left = 20000
    while left > 0 do
      -- many on one connection, until the server has had enough of it
      local client = http.client(port)
      local parts = {}
      for i = 1, 20 do
        parts[i] = mutate(random)
      end
      left = left - #parts
      if client.socket:write(table.concat(parts)) then
        client.socket:finish()
        client:rest()
      end
      client:close()
    end
    assert(handled > 100, handled)
    local client = http.client(port)
    assert.equal(200, client:get("/").status)
  end)
end)
