-- The server of http_hello; the load sends nine request headers as a browser would.
local http = require "halo.http"

local server = assert(http.serve({ host = "127.0.0.1", port = 0 }, function(req, res)
  res:send("hello")
end))

io.stdout:write("listening ", server:address().port, "\n")
io.stdout:flush()
