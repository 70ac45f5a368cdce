-- The examples: each runs, without errors, and prints what it says that it
-- prints (spec/output.lua). A server is asked once.
local output = require "spec.output"
local support = require "spec.support"

local function examples()
  local list = {}
  local pipe = assert(io.popen("ls examples/*.lua"))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- What is sent to a server, and what its answer is like.
local servers = {
  ["examples/http_hello.lua"] = {
    question = "GET /you HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    answer = "^HTTP/1%.1 200 .*\r\n\r\nhello /you\n$",
  },
  ["examples/tcp_echo.lua"] = {
    question = "one line\n",
    answer = "^one line\n$",
  },
}

-- Runs the example with a free port as its argument, asks it from a task
-- beside it, and ends.
local asking = [[
local path, question = ...
local halo = require "halo"
local net = require "halo.net"

local probe = assert(net.listen { host = "127.0.0.1", port = 0 })
local port = probe:address().port
probe:close()
arg = { [0] = path, tostring(port) }

halo.spawn(function()
  local socket
  repeat
    halo.sleep(0.01)
    socket = net.connect { host = "127.0.0.1", port = port }
  until socket
  assert(socket:write(question))
  assert(socket:finish())
  io.stderr:write(assert(socket:read_all()))
  os.exit(0)
end)
assert(loadfile(path))(tostring(port))
halo.run()
]]

describe("the example", function()
  for _, path in ipairs(examples()) do
    local server = servers[path]
    if server then
      it(path .. " answers", function()
        local _, answer, code = support.run_script(support.host, asking,
          { args = { path, server.question } })
        assert.matches(server.answer, answer)
        assert.are.equal(0, code)
      end)
    else
      it(path .. " runs", function()
        local out, err, code = support.run(support.host, { path })
        assert.are.equal("", err)
        assert.are.equal(0, code)
        local text = output.expected(read(path))
        if text then assert.are.equal(output.spaced(text), output.spaced(out)) end
      end)
    end
  end
end)
