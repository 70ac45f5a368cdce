---TCP and Unix sockets. Times are seconds, sizes bytes; what waits suspends
---only its task.
local core = require("halo.core").net

---Where a socket is: an IP address and port, or the path of a Unix socket.
---@class halo.Address
---@field address? string
---@field port? integer
---@field family? 4|6
---@field path? string "" for a socket without a name

---A stream (see halo.stream). Reading gives nil at the end, and nil and an
---error when the connection breaks; a write waits until the system has taken
---all of it. Sockets close when the collector finds them dropped.
---@class halo.net.Socket
---@field bytes_read integer
---@field bytes_written integer
---@field read fun(self: halo.net.Socket, n?: integer): string?, halo.Error? what is there, up to n bytes (waits)
---@field read_exactly fun(self: halo.net.Socket, n: integer): string?, halo.Error? cut short: ERR_EOF, with err.partial (waits)
---@field read_line fun(self: halo.net.Socket, max?: integer): string?, halo.Error? without its end; max is 64 KiB (waits)
---@field read_until fun(self: halo.net.Socket, sep: string, max?: integer): string?, halo.Error? without the separator; max is 64 KiB (waits)
---@field read_all fun(self: halo.net.Socket, max?: integer): string?, halo.Error? max is 64 MiB (waits)
---@field chunks fun(self: halo.net.Socket, n?: integer): fun(): string? for chunk in s:chunks() (waits); break closes
---@field lines fun(self: halo.net.Socket, max?: integer): fun(): string? for line in s:lines() (waits); break closes
---@field write fun(self: halo.net.Socket, ...: string|number|halo.Buffer): true?, halo.Error? (waits)
---@field finish fun(self: halo.net.Socket): true?, halo.Error? ends the writing side; reading goes on (waits)
---@field close fun(self: halo.net.Socket): true twice is no error
---@field set_timeout fun(self: halo.net.Socket, seconds?: number): true a read or write that waits while nothing moves gives ETIMEDOUT; nil: never (default)
---@field set_no_delay fun(self: halo.net.Socket, on?: boolean): true?, halo.Error? on by default
---@field set_keep_alive fun(self: halo.net.Socket, on?: boolean|number): true?, halo.Error? probes after 60 or that many seconds of silence; off by default
---@field local_address fun(self: halo.net.Socket): halo.Address?, halo.Error?
---@field remote_address fun(self: halo.net.Socket): halo.Address?, halo.Error?

---A listening socket. One with a handler lives until it is closed; one without
---is closed by the collector when dropped.
---@class halo.net.Server
---@field accept fun(self: halo.net.Server): halo.net.Socket?, halo.Error? the next connection, where there is no handler (waits)
---@field address fun(self: halo.net.Server): halo.Address?, halo.Error?
---@field close fun(self: halo.net.Server): true accepts no more; its connections go on
---@field connections fun(self: halo.net.Server): integer of those it accepted, how many are open
---@field ref fun(self: halo.net.Server): halo.net.Server keeps the process up (default)
---@field unref fun(self: halo.net.Server): halo.net.Server does not keep the process up

local M = {}

---What kind of IP address the text is: strict, no octal, no "127.1".
---@param s string
---@return 4|6|nil
M.is_ip = core.is_ip

-- Options ---------------------------------------------------------------------
-- A table gives each known option a function that says what is wrong with a
-- value, or nothing.

local function of_type(kind)
  return function(value)
    if type(value) ~= kind then
      return kind .. " expected, got " .. type(value)
    end
  end
end

local function an_integer(low, high)
  return function(value)
    if not math.type(value) or not math.tointeger(value) then
      return "an integer expected"
    elseif value < low or value > high then
      return ("must be from %d to %d"):format(low, high)
    end
  end
end

local function seconds(value)
  if type(value) ~= "number" then
    return "number expected, got " .. type(value)
  elseif not (value >= 0 and value <= 2 ^ 31) then
    return "not a time in seconds"
  end
end

local function path(value)
  if type(value) ~= "string" then
    return "string expected, got " .. type(value)
  elseif value == "" or value:find("\0", 1, true) then
    return "empty, or with a NUL in it"
  end
end

local function keep_alive(value)
  if type(value) ~= "boolean" and not (type(value) == "number" and value >= 1 and value <= 32767) then
    return "a boolean, or 1 to 32767 seconds, expected"
  end
end

local function local_address(value)
  local ip, port = value, 0
  if type(value) == "table" then
    ip, port = value.address, value.port or 0
  end
  if type(ip) ~= "string" or not M.is_ip(ip) then
    return "an IP address expected"
  elseif math.type(port) ~= "integer" or port < 0 or port > 65535 then
    return "bad port"
  end
end

---Raises at the line that called the public function 'fname', whose options
---these are.
local function check_options(fname, opts, known)
  local problem
  if type(opts) ~= "table" then
    problem = "table expected, got " .. (opts == nil and "no value" or type(opts))
  else
    for key, value in pairs(opts) do
      local check = known[key]
      local wrong = check and check(value)
      if not check then
        problem = "unknown option '" .. tostring(key) .. "'"
      elseif wrong then
        problem = ("option '%s': %s"):format(key, wrong)
      end
    end
  end
  if not problem and opts.path and (opts.host or opts.port) then
    problem = "option 'path' excludes 'host' and 'port'"
  end
  if problem then
    error(("bad argument #1 to '%s' (%s)"):format(fname, problem), 3)
  end
end

-- Connecting --------------------------------------------------------------------

local default_keep_alive = 60

local function is_literal(host)
  return M.is_ip(host) or M.is_ip(host:match("^(.-)%%%w+$") or "")
end

---The addresses of a host: a list of {address=, family=}.
local function addresses_of(host, timeout)
  if is_literal(host) then
    return { { address = host } }
  end
  return core.resolve(host, timeout)
end

---Tries the addresses in their order, until the deadline if there is one.
local function connect_any(addresses, host, deadline, connect)
  local errors = {}
  for _, a in ipairs(addresses) do
    local socket, err = connect(a.address, deadline and math.max(deadline - core.now(), 0))
    if socket then
      return socket
    end
    err.host = host
    errors[#errors + 1] = err
    if deadline and core.now() >= deadline then
      break
    end
  end
  local err = errors[#errors]
  if #errors > 1 then
    err.errors = errors
  end
  return nil, err
end

local function connect_host(host, opts)
  local deadline = opts.timeout and core.now() + opts.timeout
  local addresses, err = addresses_of(host, opts.timeout)
  if not addresses then
    err.port = opts.port
    return nil, err
  end
  local probes = opts.keep_alive or 0
  if probes == true then
    probes = default_keep_alive
  end
  local from, from_port = opts.local_address, nil
  if type(from) == "table" then
    from, from_port = from.address, from.port
  end
  return connect_any(addresses, host, deadline, function(ip, timeout)
    return core.connect(ip, opts.port, timeout, opts.no_delay ~= false, math.floor(probes), from, from_port)
  end)
end

local connect_options = {
  host = of_type("string"),
  port = an_integer(0, 65535),
  path = path,
  timeout = seconds,
  no_delay = of_type("boolean"),
  keep_alive = keep_alive,
  local_address = local_address,
}

---@class halo.net.ConnectOptions
---@field host? string name or IP address; "localhost" unless given
---@field port? integer
---@field path? string a Unix socket, instead of host and port
---@field timeout? number seconds for the whole call; none but the system's
---@field no_delay? boolean default true
---@field keep_alive? boolean|number probes after 60 or so many seconds of silence; default off
---@field local_address? string|halo.Address where to connect from

---Connects (waits). A name's addresses are tried in their order.
---Errors: ECONNREFUSED, ETIMEDOUT, ENOTFOUND, ENOENT …; with syscall, host,
---address, port or path, and stage ("resolve" or "connect"); where several
---addresses failed all of them stand in err.errors.
---@param opts halo.net.ConnectOptions
---@return halo.net.Socket? socket
---@return halo.Error? err
function M.connect(opts)
  check_options("connect", opts, connect_options)
  if opts.path then
    return core.connect_unix(opts.path, opts.timeout)
  elseif not opts.port then
    error("bad argument #1 to 'connect' (option 'port' or 'path' missing)", 2)
  end
  return connect_host(opts.host or "localhost", opts)
end

-- Serving -----------------------------------------------------------------------

local default_backlog = 511

local listen_options = {
  host = of_type("string"),
  port = an_integer(0, 65535),
  path = path,
  backlog = an_integer(1, 65535),
  reuse_port = of_type("boolean"),
  max_connections = an_integer(1, 2 ^ 31 - 1),
}

---Listens on the first address of the host; without one on all addresses.
local function listen(opts, handler)
  local ip
  if opts.host then
    local addresses, err = addresses_of(opts.host)
    if not addresses then
      err.port = opts.port
      return nil, err
    end
    ip = addresses[1].address
  end
  return core.listen(
    ip,
    opts.port,
    opts.path,
    opts.backlog or default_backlog,
    opts.reuse_port,
    opts.max_connections,
    handler
  )
end

---@class halo.net.ListenOptions
---@field host? string name or IP address; all addresses unless given
---@field port? integer default 0: any that is free
---@field path? string a Unix socket, instead of host and port; removed at the close
---@field backlog? integer connections that wait to be accepted; default 511
---@field reuse_port? boolean several processes or workers listen on the port
---@field max_connections? integer more than that wait to be accepted; default any number

---Serves: each connection is handled in a task of its own, and closed when the
---handler has returned. An error it raises is printed on stderr and ends that
---connection only.
---Errors: EADDRINUSE, EACCES …; with syscall, address, port or path.
---@param opts halo.net.ListenOptions
---@param handler fun(socket: halo.net.Socket)
---@return halo.net.Server? server
---@return halo.Error? err
function M.serve(opts, handler)
  check_options("serve", opts, listen_options)
  if type(handler) ~= "function" and type(handler) ~= "userdata" then
    error("bad argument #2 to 'serve' (function expected, got " .. type(handler) .. ")", 2)
  end
  return listen(opts, handler)
end

---Listens; connections are taken with server:accept().
---Errors as those of serve.
---@param opts halo.net.ListenOptions
---@return halo.net.Server? server
---@return halo.Error? err
function M.listen(opts)
  check_options("listen", opts, listen_options)
  return listen(opts)
end

return M
