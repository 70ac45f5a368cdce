-- A form: fields and headers of a request, a redirect, and what is refused.
local http = require "halo.http"
local net = require "halo.net"

local names = {}

local server <close> = assert(http.serve({ host = "127.0.0.1", max_body = 1024 }, function(req, res)
  if req.method == "GET" then
    res.headers["Cache-Control"] = "no-store"
    return res:send(table.concat(names, ", ") .. "\n")
  end
  local form, err = req:form()
  if not form or not form.name then
    res.status = err and err.code == "ERR_TOO_LARGE" and 413 or 400
    return res:send((err and err.message or "no name") .. "\n")
  end
  names[#names + 1] = form.name
  res:redirect("/", 303)
end))

local function ask(method, headers, body)
  local client <close> = assert(net.connect { host = "127.0.0.1", port = server:address().port })
  client:write(method, " / HTTP/1.0\r\n", headers or "", "Content-Length: ", #(body or ""), "\r\n\r\n", body or "")
  local status = client:read_line():match(" (%d+)")
  local head = client:read_until("\r\n\r\n")
  print(method, status, head:match("Location: (%g+)") or client:read_line())
end

local urlencoded = "Content-Type: application/x-www-form-urlencoded\r\n"
ask("POST", urlencoded, "name=Ada+Lovelace&born=1815")
ask("POST", urlencoded, "name=J%C3%BCrgen")
ask("POST", urlencoded, "born=1815")
ask("POST", urlencoded, "name=" .. ("x"):rep(2000))
ask("POST", "", "name=x")
ask("GET")

--> POST	303	/
--> POST	303	/
--> POST	400	no name
--> POST	413	request body of 2005 bytes, more than 1024
--> POST	400	not a form: no Content-Type
--> GET	200	Ada Lovelace, Jürgen
