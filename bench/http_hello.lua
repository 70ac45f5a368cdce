-- The least an HTTP server can do.
local http = require "halo.http"

local server = assert(http.serve({ host = "127.0.0.1", port = 0 }, function(req, res)
  res:send("hello")
end))

io.stdout:write("listening ", server:address().port, "\n")
io.stdout:flush()
