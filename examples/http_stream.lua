-- Bodies as streams: an upload of any size is counted while it comes, and the
-- answer leaves line by line; neither is ever held as a whole.
local http = require "halo.http"
local net = require "halo.net"

local server <close> = assert(http.serve({ host = "127.0.0.1" }, function(req, res)
  local lines, bytes = 0, 0
  for line in req:lines() do
    lines = lines + 1
    bytes = bytes + #line + 1
    if lines % 1000 == 0 and not res:write(("%d lines, %d bytes\n"):format(lines, bytes)) then
      return -- the client has gone
    end
  end
  res:finish("that is all\n")
end))

-- A client, by hand: HTTP/1.0, so that the answer ends with the connection.
local client <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
local text = ("a line of text\n"):rep(3000)
client:write("POST /upload HTTP/1.0\r\nContent-Length: ", #text, "\r\n\r\n", text)
print(client:read_line())
client:read_until("\r\n\r\n")
io.write(client:read_all())

--> HTTP/1.1 200 OK
--> 1000 lines, 15000 bytes
--> 2000 lines, 30000 bytes
--> 3000 lines, 45000 bytes
--> that is all
