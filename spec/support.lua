---What specs share: which host they run on, and running scripts in processes.
local M = {}

---Seconds that a test may take (spec/helper.lua).
M.time_limit = tonumber(os.getenv("SPEC_TIME_LIMIT")) or 20

local function read(name, default)
  local value = os.getenv(name)
  return value ~= nil and value ~= "" and value or default
end

---The host that runs the suite: "halo" (the command) or "lua5.4" (stock Lua).
---@type "halo"|"lua5.4"
M.host = package.preload["halo.core"] and "halo" or "lua5.4"

---Path of the halo command.
---@return string
function M.halo()
  return read("HALO", "build/halo")
end

---Path of the stock interpreter.
---@return string
function M.lua()
  return read("HALO_LUA", "lua5.4")
end

---Quotes a word for the shell.
---@param s string
---@return string
function M.quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

---A path for a temporary file, which is removed by the caller.
---@return string
function M.temporary()
  return os.tmpname()
end

---Writes a file; gives its path.
---@param path string
---@param text string
---@return string path
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  assert(file:close())
  return path
end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text
end

-- The environment of a process: env(1)'s words.
local function environment(host, extra)
  local words = { "env -u LD_PRELOAD -u LUA_INIT -u LUA_INIT_5_4" }
  local function set(name, value)
    words[#words + 1] = name .. "=" .. M.quote(value)
  end
  if host == "lua5.4" then
    set("LUA_PATH_5_4", read("HALO_LUA_PATH", "lua/?.lua;lua/?/init.lua;;"))
    set("LUA_CPATH_5_4", read("HALO_LUA_CPATH", "build/lib/?.so;;"))
    local preload = read("HALO_PRELOAD")
    if preload then set("LD_PRELOAD", preload) end
  else
    words[1] = words[1] .. " -u LUA_PATH_5_4 -u LUA_CPATH_5_4"
  end
  for name, value in pairs(extra or {}) do set(name, value) end
  return table.concat(words, " ")
end

---@class spec.RunOptions
---@field stdin? string standard input; default: empty
---@field env? table<string, string> further variables of the environment
---@field cwd? string
---@field timeout? number seconds until it is killed; default 10

---Runs a program of a host ("halo", "lua5.4") with arguments.
---@param host "halo"|"lua5.4"
---@param args string[]
---@param options? spec.RunOptions
---@return string stdout, string stderr, integer code as the shell tells it:
---  128 + n for signal n, 124 if its time was up
function M.run(host, args, options)
  options = options or {}
  local out, err, input = os.tmpname(), os.tmpname(), os.tmpname()
  M.write(input, options.stdin or "")
  local program = host == "halo" and M.halo() or M.lua()
  local words = {}
  if options.cwd then words[1] = "cd " .. M.quote(options.cwd) .. " &&" end
  words[#words + 1] = "timeout --kill-after=1"
  words[#words + 1] = tostring(options.timeout or 10)
  words[#words + 1] = environment(host, options.env)
  words[#words + 1] = M.quote(program)
  for _, arg in ipairs(args) do words[#words + 1] = M.quote(arg) end
  local command = ("{ %s; } <%s >%s 2>%s"):format(
    table.concat(words, " "), M.quote(input), M.quote(out), M.quote(err))
  local pipe = assert(io.popen(command .. "; echo $?", "r"))
  local code = pipe:read("n")
  pipe:close()
  os.remove(input)
  return slurp(out), slurp(err), math.tointeger(code)
end

---Runs a script's text in a process of its own.
---@param host "halo"|"lua5.4"
---@param code string
---@param options? spec.RunOptions | { args: string[], options: string[], name: string }
---@return string stdout, string stderr, integer code
function M.run_script(host, code, options)
  options = options or {}
  local path = options.name or os.tmpname()
  M.write(path, code)
  local args = {}
  for _, arg in ipairs(options.options or {}) do args[#args + 1] = arg end
  args[#args + 1] = path
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  local out, err, status = M.run(host, args, options)
  os.remove(path)
  return out, err, status
end

return M
