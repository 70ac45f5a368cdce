---Mutable bytes that the collector can see; taken wherever a string is.
local core = require("halo.core")

---@class halo.Buffer
---@field sub fun(self: halo.Buffer, i?: integer, j?: integer): string
---@field set fun(self: halo.Buffer, i: integer, bytes: string|halo.Buffer): halo.Buffer
---@field fill fun(self: halo.Buffer, byte: integer, i?: integer, j?: integer): halo.Buffer
---@field copy fun(self: halo.Buffer, i?: integer, j?: integer): halo.Buffer
---@field pack fun(self: halo.Buffer, i: integer, format: string, ...): integer
---@field unpack fun(self: halo.Buffer, format: string, i?: integer): ...
---@field tostring fun(self: halo.Buffer): string

local M = {}

---@param n integer size in bytes, all zero
---@return halo.Buffer
M.new = core.buffer.new

---@param s string|halo.Buffer
---@return halo.Buffer
M.from = core.buffer.from

return M
