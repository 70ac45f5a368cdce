-- Every wait of the native rooms: ended in flight by a cancel and by a time
-- limit; afterwards as much is open as before. (Those of halo, halo.sync,
-- halo.events and halo.timers are in task_spec.)
local halo = require "halo"
local fs = require "halo.fs"
local http = require "halo.http"
local net = require "halo.net"
local process = require "halo.process"

local function pair()
  local server <close> = assert(net.listen { host = "127.0.0.1" })
  local a = assert(net.connect { host = "127.0.0.1", port = server:address().port })
  return a, assert(server:accept())
end

-- What is open, without the time limit of the test itself.
local function count_open()
  local n = 0
  for _, r in ipairs(halo.resources()) do
    if not r.unref then n = n + 1 end
  end
  return n
end

-- Until what was closed has gone from libuv, too.
local function settles_at(n)
  for _ = 1, 200 do
    if count_open() <= n then return true end
    halo.sleep(0.002)
  end
  return false
end

local function threads()
  local command <close> = assert(io.popen("getconf _NPROCESSORS_ONLN"))
  return math.max(4, tonumber(command:read("a")) or 4)
end

local big = ("x"):rep(16 * 1024 * 1024)

-- Each gives a function that waits, and one that cleans up.
local waits = {}

for _, method in ipairs { "read", "read_line", "read_all" } do
  waits["socket:" .. method] = function()
    local a, b = pair()
    return function() return a[method](a) end, function() a:close() b:close() end
  end
end
waits["socket:read_exactly"] = function()
  local a, b = pair()
  return function() return a:read_exactly(10) end, function() a:close() b:close() end
end
waits["socket:read_until"] = function()
  local a, b = pair()
  return function() return a:read_until("--") end, function() a:close() b:close() end
end
for _, method in ipairs { "chunks", "lines" } do
  waits["socket:" .. method] = function()
    local a, b = pair()
    return function()
      for _ in a[method](a) do end
    end, function() a:close() b:close() end
  end
end
waits["socket:write"] = function()
  local a, b = pair()
  return function() return a:write(big) end, function() a:close() b:close() end
end
waits["socket:finish"] = function()
  local a, b = pair()
  halo.spawn(pcall, a.write, a, big)
  halo.sleep(0.001)
  return function() return a:finish() end, function() a:close() b:close() end
end
waits["server:accept"] = function()
  local server = assert(net.listen { host = "127.0.0.1" })
  return function() return server:accept() end, function() server:close() end
end
waits["net.connect"] = function()
  -- A Unix socket's connect cannot hang and a TCP one on loopback hardly can:
  -- a full queue of connections makes it wait.
  local server = assert(net.listen { host = "127.0.0.1", backlog = 1 })
  local port, held = server:address().port, {}
  for i = 1, 6 do
    held[i] = halo.spawn(pcall, net.connect, { host = "127.0.0.1", port = port, timeout = 5 })
  end
  halo.sleep(0.01)
  return function() return net.connect { host = "127.0.0.1", port = port } end, function()
    for _, task in ipairs(held) do
      task:cancel()
      local ok, done, socket = pcall(halo.await, task)
      if ok and done and socket then socket:close() end
    end
    server:close()
  end
end
for _, name in ipairs { "read_file", "stat", "lstat" } do
  waits["fs." .. name] = function()
    -- As many jobs as the pool has threads, on a file that nobody writes to:
    -- the one that is tried has not begun.
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    local blocked = {}
    for i = 1, threads() do blocked[i] = halo.spawn(fs.read_file, path) end
    halo.sleep(0.01)
    return function() return fs[name](path) end, function()
      -- One writer lets all of them go on.
      assert(os.execute(("timeout 5 sh -c 'echo > %s'"):format(path)))
      for _, task in ipairs(blocked) do
        task:cancel() -- those that read the others' lines
        pcall(halo.await, task)
      end
      os.remove(path)
    end
  end
end
waits["process.signals"] = function()
  return function()
    for _ in process.signals("SIGUSR2") do end
  end, function() end
end

-- Inside a handler: each gets the request and the response.
local handlers = {
  ["req:text"] = function(req) return req:text() end,
  ["req:read"] = function(req) return req:read() end,
  ["res:write"] = function(_, res)
    while true do
      local ok, err = res:write(big)
      if not ok then return nil, err end
    end
  end,
}
for name, use in pairs(handlers) do
  waits[name] = function()
    local done, arrived = halo.promise.with_resolvers()
    local over, finish = halo.promise.with_resolvers()
    local server = assert(http.serve({ host = "127.0.0.1", port = 0 }, function(req, res)
      arrived(req, res)
      halo.await(over)
      res:send()
    end))
    local client = assert(net.connect { host = "127.0.0.1", port = server:address().port })
    assert(client:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"))
    local req, res = halo.await(done)
    return function() return use(req, res) end, function()
      finish()
      client:close()
      server:close()
    end
  end
end
waits["server:stop"] = function()
  local over, finish = halo.promise.with_resolvers()
  local server = assert(http.serve({ host = "127.0.0.1", port = 0 }, function(_, res)
    halo.await(over)
    res:send()
  end))
  local client = assert(net.connect { host = "127.0.0.1", port = server:address().port })
  assert(client:write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
  halo.sleep(0.01)
  return function() return server:stop { grace = 60 } end, function()
    finish()
    client:close()
    server:close()
  end
end

local names = {}
for name in pairs(waits) do names[#names + 1] = name end
table.sort(names)

for _, name in ipairs(names) do
  describe(name, function()
    local before
    before_each(function()
      collectgarbage()
      collectgarbage()
      before = count_open()
    end)

    it("ends in flight by a cancel", function()
      local wait, clean = waits[name]()
      local task = halo.spawn(wait)
      halo.sleep(0.005)
      assert.are.equal("pending", task:status())
      task:cancel()
      local ok, err = pcall(halo.await, task)
      assert.is_false(ok)
      assert.is_true(halo.is_error(err, "ECANCELED"))
      clean()
      assert.is_true(settles_at(before))
    end)

    it("ends in flight by a time limit", function()
      local wait, clean = waits[name]()
      local result, err = halo.timeout(0.005, wait)
      assert.is_nil(result)
      assert.is_true(halo.is_error(err, "ETIMEDOUT"))
      clean()
      assert.is_true(settles_at(before))
    end)
  end)
end
