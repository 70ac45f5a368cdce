-- The interactive mode: lua5.4's, but a line may wait and timers run meanwhile.
-- Its functions of C come as the chunk's argument (repl.c).
local terminal = ...
local core = require("halo.core")

local prompts = { _PROMPT = "> ", _PROMPT2 = ">> " }

local function prompt(name)
  local value = _G[name]
  return value == nil and prompts[name] or tostring(value)
end

local function complain(text)
  io.stdout:flush()
  io.stderr:write(text, "\n")
end

---Loads a statement: first as an expression to be shown, else as it is, with
---as many further lines as it takes.
---@param line string
---@return function? chunk, string? err
local function compile(line)
  local chunk = load("return " .. line .. ";", "=stdin", "t")
  if chunk then return chunk end
  while true do
    local loaded, err = load(line, "=stdin", "t")
    if loaded or not err:find("<eof>$") then return loaded, err end
    local more = terminal.read_line(prompt "_PROMPT2")
    if not more then return nil, err end
    line = line .. "\n" .. more
  end
end

local function show(n, ...)
  if n == 0 then return end
  local ok, err = pcall(print, ...)
  if not ok then
    complain(("error calling 'print' (%s)"):format(tostring(err)))
  end
end

-- The error as lua5.4 prints it there: its traceback ends where ours begins.
local function describe(err, traceback)
  local text
  if type(err) == "string" or type(err) == "number" then
    text = tostring(err)
  elseif (getmetatable(err) or {}).__tostring
    or debug.getmetatable(err) and debug.getmetatable(err).__tostring then
    text = tostring(err)
  else
    text = ("(error object is a %s value)"):format(type(err))
  end
  if not traceback then return text end
  local lines = {}
  for l in traceback:gmatch("[^\n]+") do
    if not l:find("halo/command/", 1, true) then lines[#lines + 1] = l end
  end
  while #lines > 1 and lines[#lines]:find("[C]: in", 1, true) do
    lines[#lines] = nil
  end
  lines[#lines + 1] = "\t[C]: in ?"
  return text .. "\n" .. table.concat(lines, "\n")
end

local frame -- of the line that runs

local function ended(ok, ...)
  frame = nil
  terminal.forget()
  if ok then
    show(select("#", ...), ...)
  else
    complain(describe(...))
  end
end

core.set_hook("uncaught_error", function(err, traceback)
  complain(describe(err, traceback))
  return true
end)
terminal.on_interrupt(function()
  if frame then frame:cancel() end
end)

while true do
  local line = terminal.read_line(prompt "_PROMPT")
  if not line then break end
  local chunk, err = compile((line:gsub("^=", "return ")))
  if chunk then
    frame = core.frame()
    ended(core.guard(frame, terminal.run, chunk))
  else
    complain(err)
  end
end
print()
core.set_hook("uncaught_error", nil)
if terminal.is_terminal() then os.exit(true, true) end
