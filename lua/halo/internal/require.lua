-- A `require` that may wait: package.require in Lua, since no wait passes
-- through a C function. What it finds, does and says is stock Lua's.
local core = require("halo.core")

local M = {}

-- Modules whose loader waits: name -> { task, waiters }.
local loading = {}
-- Task -> the loading record it waits for.
local waits_for = setmetatable({}, { __mode = "k" })

local function find_loader(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then
    error("'package.searchers' must be a table", 3)
  end
  local messages = {}
  for i = 1, math.huge do
    local searcher = searchers[i]
    if searcher == nil then
      local text = #messages == 0 and "" or "\n\t" .. table.concat(messages, "\n\t")
      error(("module '%s' not found:%s"):format(name, text), 3)
    end
    local loader, data = searcher(name)
    if type(loader) == "function" then
      return loader, data
    elseif type(loader) == "string" then
      messages[#messages + 1] = loader
    end
  end
end

-- Does whoever loads 'record' wait, directly or not, for 'task'?
local function cyclic(record, task)
  while record do
    if record.task == task then
      return true
    end
    record = waits_for[record.task]
  end
  return false
end

local function wait_for(record, task)
  local waiter = core.waiter("module")
  record[#record + 1] = waiter
  waits_for[task] = record
  local ok, err = pcall(waiter.park, waiter)
  waits_for[task] = nil
  if not ok then
    error(err, 0)
  end
end

local function finish(name, record)
  loading[name] = record.outer
  for _, waiter in ipairs(record) do
    waiter:wake()
  end
end

---@param name string
---@return any module
---@return any loader_data
local function require_module(name)
  if type(name) ~= "string" then
    if type(name) ~= "number" then
      local got = name == nil and "no value" or type(name)
      error("bad argument #1 to 'require' (string expected, got " .. got .. ")", 2)
    end
    name = tostring(name)
  end
  local loaded = package.loaded
  while true do
    local value = loaded[name]
    if value then
      return value
    end
    local record = loading[name]
    if not record then
      break
    end
    local task = core.current()
    if not task or cyclic(record, task) then
      break -- stock Lua's: it loads it again
    end
    wait_for(record, task)
  end
  local loader, data = find_loader(name)
  local record = { task = core.current(), outer = loading[name] }
  loading[name] = record
  local guard <close> = setmetatable({}, {
    __close = function()
      finish(name, record)
    end,
  })
  local value = loader(name, data)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], data
end

function M.install()
  _G.require = require_module
end

return M
