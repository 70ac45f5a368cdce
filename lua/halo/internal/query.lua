---The names and values of a query, in order: what req.query is.
local core = require("halo.core").http

---@class halo.Query
local Query = {}
Query.__index = Query
Query.__name = "halo.Query"

local M = {}

---@param text? string as it stands behind the "?"
---@return halo.Query
function M.parse(text)
  return setmetatable({ _list = core.parse_query(text) }, Query)
end

---The first value of the name.
---@param name string
---@return string?
function Query:get(name)
  local list = self._list
  for i = 1, #list, 2 do
    if list[i] == name then
      return list[i + 1]
    end
  end
  return nil
end

---All values of the name.
---@param name string
---@return string[]
function Query:all(name)
  local list, values = self._list, {}
  for i = 1, #list, 2 do
    if list[i] == name then
      values[#values + 1] = list[i + 1]
    end
  end
  return values
end

---@param name string
---@return boolean
function Query:has(name)
  return self:get(name) ~= nil
end

---for name, value in pairs(query): in order, a name as often as it stands there
function Query:__pairs()
  local list, i = self._list, -1
  return function()
    i = i + 2
    return list[i], list[i + 1]
  end
end

return M
