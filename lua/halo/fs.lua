---Files, on the thread pool: one job for each operation.
local core = require("halo.core").fs

---What stat gives: sizes in bytes, times in seconds.
---@class halo.Stat
---@field size integer
---@field mode integer permission bits
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"character device"|"block device"
---@field ino integer
---@field dev integer
---@field nlink integer
---@field uid integer
---@field gid integer
---@field blksize integer
---@field blocks integer
---@field atime number
---@field mtime number
---@field ctime number
local Stat = core.Stat
Stat.__index = Stat

---@return boolean
function Stat:is_file()
  return self.type == "file"
end

---@return boolean
function Stat:is_directory()
  return self.type == "directory"
end

---@return boolean
function Stat:is_link()
  return self.type == "link"
end

---@class halo.fs
local M = {}

---Reads a whole file. Waits.
---@param path string
---@return string? data
---@return halo.Error? err
M.read_file = core.read_file

---What there is at a path; follows links. Waits.
---@param path string
---@return halo.Stat?
---@return halo.Error? err
M.stat = core.stat

---As stat, but of a link itself. Waits.
---@param path string
---@return halo.Stat?
---@return halo.Error? err
M.lstat = core.lstat

return M
