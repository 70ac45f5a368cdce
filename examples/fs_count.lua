-- Counts lines of files, all of them at once: fs_count.lua [file …]
local halo = require "halo"
local fs = require "halo.fs"

local function count(path)
  local text, err = fs.read_file(path)
  if not text then return err end
  local _, lines = text:gsub("\n", "\n")
  return lines
end

local paths = #arg > 0 and arg or { arg[0], "/no/such/file" }
halo.scope(function(scope)
  local tasks = {}
  for i, path in ipairs(paths) do tasks[i] = scope:spawn(count, path) end
  for i, path in ipairs(paths) do
    local lines = halo.await(tasks[i])
    if halo.is_error(lines) then
      print("not counted: " .. lines)
    else
      print(path:match("[^/]*$"), lines, assert(fs.stat(path)).size > 0)
    end
  end
end)

--> fs_count.lua	27	true
--> not counted: ENOENT: no such file or directory, open '/no/such/file'
