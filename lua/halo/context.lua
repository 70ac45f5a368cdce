---Values that tasks and callbacks inherit from the code that starts them.
---
---    local user = context.new("nobody")
---    user:run("ann", function() … user:get() … end)
local core = require("halo.core")

---@class halo.Context
---@field run fun(self: halo.Context, value: any, fn: function, ...): ... waits
---@field get fun(self: halo.Context): any

local M = {}

---@param default? any what get gives outside of every run
---@return halo.Context
M.new = core.context

return M
