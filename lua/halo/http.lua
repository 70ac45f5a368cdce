---HTTP/1.1: the server. Times are seconds, sizes bytes; what waits suspends
---only its task.
local core = require("halo.core").http
local net = require("halo.net")
local Error = require("halo.core").Error

---A request. Reading it reads its body: see halo.stream for the methods.
---@class halo.http.Request
---@field method string
---@field target string as it was sent
---@field path string of the target, its escapes not undone
---@field query halo.Query
---@field query_string? string
---@field headers halo.http.Headers
---@field version "1.0"|"1.1"
---@field remote_address halo.Address? nil once the connection is gone
---@field text fun(self: halo.http.Request, max?: integer): string?, halo.Error? the whole body (waits)
---@field json fun(self: halo.http.Request, max?: integer): any, halo.Error? (waits)
---@field form fun(self: halo.http.Request, max?: integer): table?, halo.Error? (waits)
---@field trailers fun(self: halo.http.Request): halo.http.Headers?, halo.Error? (waits)
---@field read fun(self: halo.http.Request, n?: integer): string?, halo.Error? (waits)
---@field close fun(self: halo.http.Request): true the rest of the body is not wanted

---Headers: `headers["content-type"]`, whatever the case. Of several lines the
---values are joined by commas; `pairs` gives them line by line.
---@class halo.http.Headers
---@field all fun(self: halo.http.Headers, name: string): string[]
---@field add fun(self: halo.http.Headers, name: string, value: string|number)

---An answer. What goes wrong with the client is `nil, err` of whatever writes.
---@class halo.http.Response
---@field status integer 200 at first
---@field headers halo.http.Headers values are strings, numbers or lists of them; nil removes
---@field send fun(self: halo.http.Response, body?: string|halo.Buffer|table): true?, halo.Error? all of it at once
---@field write fun(self: halo.http.Response, ...: string|halo.Buffer): true?, halo.Error? a piece of it (waits)
---@field finish fun(self: halo.http.Response, ...: string|halo.Buffer): true?, halo.Error? its end
---@field redirect fun(self: halo.http.Response, url: string, status?: integer): true?, halo.Error?
---@field continue fun(self: halo.http.Response): true?, halo.Error? 100 Continue
---@field close fun(self: halo.http.Response): true cuts off an unfinished answer

local M = {}

-- Requests --------------------------------------------------------------------

core.getters.query = function(request)
  return require("halo.internal.query").parse(request.query_string)
end

---Gives what is left of the body's trailers once it has ended.
function core.request:trailers()
  repeat
    local chunk, err = self:read()
    if err then
      return nil, err
    end
  until not chunk
  return self:_trailers()
end

function core.request:json(max)
  local text, err = self:text(max)
  if not text then
    return nil, err
  end
  return require("halo.json").decode(text)
end

function core.request:form(max)
  local text, err = self:text(max)
  if not text then
    return nil, err
  end
  local fields, message = require("halo.internal.form").parse(self.headers["content-type"], text)
  if not fields then
    return nil, Error({ code = "ERR_HTTP_FORM", message = message })
  end
  return fields
end

core.set_json(function(value)
  return require("halo.json").encode(value)
end)

-- Options -----------------------------------------------------------------------

local KiB = 1024

---Of http.serve; docs/limits.md tells why.
local defaults = {
  headers_timeout = 15,
  request_timeout = 300,
  body_timeout = 30,
  keep_alive_timeout = 75,
  write_timeout = 60,
  max_target = 8 * KiB,
  max_header_size = 16 * KiB,
  max_headers = 100,
  max_body = KiB * KiB,
  max_trailer_size = 8 * KiB,
  max_chunk_extension = KiB,
  max_chunk_extensions = 16 * KiB,
}

---Largest values that make sense; positions in a head are 32-bit.
local greatest = {
  max_target = KiB * KiB,
  max_header_size = 16 * KiB * KiB,
  max_headers = 65535,
  max_connections = 2 ^ 31 - 1,
}

local net_options = { host = true, port = true, path = true, backlog = true, reuse_port = true }

---Raises at the line that called serve, 'level' calls up from here.
local function misuse(level, format, ...)
  error(("bad argument #1 to 'serve' (%s)"):format(format:format(...)), level + 1)
end

---A time in seconds; false turns it off.
local function check_time(name, value)
  if value == false then
    return value
  elseif type(value) ~= "number" or not (value >= 0 and value <= 2 ^ 31) then
    misuse(4, "option '%s': not a time in seconds", name)
  end
  return value
end

local function check_size(name, value)
  local n = math.type(value) and math.tointeger(value)
  local most = greatest[name] or math.maxinteger
  if not n then
    misuse(4, "option '%s': an integer expected", name)
  elseif n < 1 or n > most then
    misuse(4, "option '%s': must be from 1 to %d", name, most)
  end
  return n
end

---Splits the options into the listening socket's and the server's.
local function check_options(opts)
  if type(opts) ~= "table" then
    misuse(3, "table expected, got %s", type(opts))
  end
  local listening, serving = {}, { max_connections = core.descriptors() }
  for name, value in pairs(defaults) do
    serving[name] = value
  end
  for name, value in pairs(opts) do
    if net_options[name] then
      listening[name] = value
    elseif name == "tls" or name == "workers" then
      misuse(3, "option '%s' is not supported yet", name)
    elseif serving[name] == nil then
      misuse(3, "unknown option '%s'", tostring(name))
    elseif name:find("_timeout$") then
      serving[name] = check_time(name, value)
    else
      serving[name] = check_size(name, value)
    end
  end
  return listening, serving
end

-- Servers -------------------------------------------------------------------------

---@class halo.http.Server
local Server = {}
Server.__index = Server
Server.__name = "halo.http.Server"

---Where it listens.
---@return halo.Address? address
---@return halo.Error? err
function Server:address()
  return self._listener:address()
end

---How many connections are open.
---@return integer
function Server:connections()
  return self._acceptor:connections()
end

---Keeps the process up, as at first.
---@return halo.http.Server
function Server:ref()
  self._listener:ref()
  self._acceptor:unref(false)
  return self
end

---Does not keep the process up; nor do its idle connections.
---@return halo.http.Server
function Server:unref()
  self._listener:unref()
  self._acceptor:unref(true)
  return self
end

---Ends it at once, with all its connections; handlers that wait are cancelled.
---@return true
function Server:close()
  self._listener:close()
  self._acceptor:close()
  return true
end

Server.__close = Server.close

---Stops accepting and lets the requests in flight finish, each answer with
---`Connection: close`. What is not done after `grace` seconds is ended. Waits.
---@param opts? { grace?: number } 10 unless given
---@return true
function Server:stop(opts)
  local grace = 10
  if opts ~= nil then
    if type(opts) ~= "table" then
      error(("bad argument #1 to 'stop' (table expected, got %s)"):format(type(opts)), 2)
    end
    for name, value in pairs(opts) do
      if name ~= "grace" then
        error(("bad argument #1 to 'stop' (unknown option '%s')"):format(tostring(name)), 2)
      elseif type(value) ~= "number" or not (value >= 0 and value <= 2 ^ 31) then
        error("bad argument #1 to 'stop' (option 'grace': not a time in seconds)", 2)
      end
    end
    grace = opts.grace or grace
  end
  self._listener:close()
  self._acceptor:stop(grace)
  return self:close()
end

---@class halo.http.ServeOptions : halo.net.ListenOptions
---@field headers_timeout? number|false from a request's first byte to the end of its head; 15
---@field request_timeout? number|false to the end of its body; 300
---@field body_timeout? number|false between bytes of the body; 30
---@field keep_alive_timeout? number|false between requests; 75
---@field write_timeout? number|false without the client taking a byte; 60
---@field max_target? integer 8 KiB
---@field max_header_size? integer all header lines; 16 KiB
---@field max_headers? integer lines; 100
---@field max_body? integer of text, json and form; 1 MiB
---@field max_trailer_size? integer all trailer lines; 8 KiB
---@field max_chunk_extension? integer of one chunk; 1 KiB
---@field max_chunk_extensions? integer of a body; 16 KiB
---@field max_connections? integer what descriptors there are, less some

---Serves HTTP: each request is handled in a task of its own.
---@param opts halo.http.ServeOptions
---@param handler fun(req: halo.http.Request, res: halo.http.Response)
---@return halo.http.Server? server
---@return halo.Error? err
function M.serve(opts, handler)
  local listening, serving = check_options(opts)
  if type(handler) ~= "function" then
    error(("bad argument #2 to 'serve' (function expected, got %s)"):format(type(handler)), 2)
  end
  local acceptor = core.server(serving, handler)
  local ok, listener, err = pcall(net.serve, listening, acceptor)
  if not ok then
    error(type(listener) == "string" and listener:gsub("^[^ ]*:%d+: ", "") or listener, 2)
  elseif not listener then
    return nil, err
  end
  return setmetatable({ _listener = listener, _acceptor = acceptor }, Server)
end

return M
