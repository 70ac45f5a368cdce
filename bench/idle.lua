-- A server that keeps idle connections; GET /gc collects garbage.
local http = require "halo.http"

local options = { host = "127.0.0.1", port = 0, keep_alive_timeout = 120, max_connections = 20000 }
local server = assert(http.serve(options, function(req, res)
  if req.path == "/gc" then
    collectgarbage()
    collectgarbage()
  end
  res:send("hello")
end))

io.stdout:write("listening ", server:address().port, "\n")
io.stdout:flush()
