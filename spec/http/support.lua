---What the specs of HTTP share: servers that are closed after the test, and a
---client that sends bytes as they are.
local halo = require "halo"
local http = require "halo.http"
local net = require "halo.net"

local M = {}

local servers, clients = {}, {}

---Serves on a free port until the end of the test.
function M.serve(handler, opts)
  local all = { host = "127.0.0.1" }
  for name, value in pairs(opts or {}) do
    all[name] = value
  end
  local server = assert(http.serve(all, handler))
  servers[#servers + 1] = server
  return server, server:address().port
end

---@class spec.http.Client
local Client = {}
Client.__index = Client

---Connects to the port; closed after the test.
function M.client(port)
  local socket = assert(net.connect { host = "127.0.0.1", port = port })
  local client = setmetatable({ socket = socket }, Client)
  clients[#clients + 1] = client
  return client
end

function Client:send(...)
  return assert(self.socket:write(...))
end

function Client:close()
  self.socket:close()
end

---All that comes until the server closes.
function Client:rest()
  local parts = {}
  while true do
    local data, err = self.socket:read()
    if not data then
      return table.concat(parts), err
    end
    parts[#parts + 1] = data
  end
end

local function chunks(socket)
  local parts = {}
  while true do
    local line = assert(socket:read_line())
    local size = tonumber(line:match("^%x+$"), 16)
    if size == 0 then
      assert(socket:read_line() == "")
      return table.concat(parts)
    end
    parts[#parts + 1] = assert(socket:read_exactly(size))
    assert(socket:read_line() == "")
  end
end

---Reads one response; nil at the end. `head` tells that it has no body.
function Client:response(head)
  local line, err = self.socket:read_line()
  if not line then
    return nil, err
  end
  local r = { line = line, headers = {}, names = {} }
  r.status = tonumber(line:match("^HTTP/1%.1 (%d%d%d) "))
  while true do
    local field = assert(self.socket:read_line())
    if field == "" then
      break
    end
    local name, value = field:match("^([^:]+): (.*)$")
    r.headers[name:lower()] = value
    r.names[#r.names + 1] = name
  end
  if head or r.status == 204 or r.status == 304 or r.status < 200 then
    r.body = ""
  elseif r.headers["transfer-encoding"] == "chunked" then
    r.body = chunks(self.socket)
  elseif r.headers["content-length"] then
    r.body = assert(self.socket:read_exactly(tonumber(r.headers["content-length"])))
  else
    r.body = self:rest()
  end
  return r
end

---Sends a request and reads the answer.
function Client:get(path, extra)
  self:send("GET ", path, " HTTP/1.1\r\nHost: a\r\n", extra or "", "\r\n")
  return self:response()
end

---Tells whether the server closes without another byte.
function Client:is_closed()
  return self:rest() == ""
end

---What a server on the port answers to the bytes until it closes.
function M.answer(port, bytes)
  local client = M.client(port)
  client:send(bytes)
  local text = client:rest()
  client:close()
  return text
end

---The statuses in a text of answers, in order.
function M.statuses(text)
  local list = {}
  for status in text:gmatch("HTTP/1%.1 (%d%d%d) ") do
    list[#list + 1] = tonumber(status)
  end
  return list
end

---A function that counts down, and one that waits until it has been called
---`n` times.
function M.latch(n)
  local left = n or 1
  local p, resolve = require("halo.promise").with_resolvers()
  return function()
    left = left - 1
    if left == 0 then
      resolve()
    end
  end, function()
    halo.await(p)
  end
end

---Waits until the condition holds.
function M.until_true(condition)
  while not condition() do
    halo.sleep(0.002)
  end
end

local function census()
  local count = {}
  for _, r in ipairs(halo.resources()) do
    if r.kind ~= "task" and r.kind ~= "timer" then
      count[r.kind] = (count[r.kind] or 0) + 1
    end
  end
  return count
end

local before

---To be called in before_each.
function M.setup()
  before = census()
end

---To be called in after_each: all is as it was before.
function M.teardown()
  for _, client in ipairs(clients) do
    client:close()
  end
  for _, server in ipairs(servers) do
    server:close()
  end
  servers, clients = {}, {}
  local after = census()
  for kind, n in pairs(after) do
    assert(n == (before[kind] or 0), ("%d of '%s' are left"):format(n, kind))
  end
end

return M
