-- Sends back what comes.
local net = require "halo.net"

local server = assert(net.serve({ host = "127.0.0.1", port = 0 }, function(socket)
  while true do
    local data = socket:read()
    if not data or not socket:write(data) then break end
  end
end))

io.stdout:write("listening ", server:address().port, "\n")
io.stdout:flush()
