-- halo examples/http_hello.lua [port]
-- Answers each request; Ctrl-C lets what is under way finish, then ends.
local http = require "halo.http"
local process = require "halo.process"

local server = assert(http.serve({ port = tonumber(arg[1]) or 8080 }, function(req, res)
  res:send("hello " .. req.path .. "\n")
end))
local address = server:address()
print(("listening on http://127.0.0.1:%d/, Ctrl-C stops"):format(address.port))
io.stdout:flush()

for signal in process.signals("SIGINT", "SIGTERM") do -- luacheck: ignore 512
  print("stopping after " .. signal)
  break
end
server:stop { grace = 10 }
