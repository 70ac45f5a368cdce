-- halo examples/tcp_echo.lua [port]
-- Sends back each line. Try it with: nc 127.0.0.1 7000
local halo = require "halo"
local net = require "halo.net"

local server = assert(net.serve({ host = "127.0.0.1", port = tonumber(arg[1]) or 7000 }, function(socket)
  for line in socket:lines() do
    if not socket:write(line, "\n") then break end
  end
end))
print("listening on port " .. server:address().port)
halo.run() -- for stock Lua, which would end here
