---What a script says that it prints: its comments "--> text", line by line, in
---the order in which they stand. Two spaces or more stand for a tab.
local M = {}

---@param code string
---@return string? nil if there are no such comments
function M.expected(code)
  local lines = {}
  for text in code:gmatch("%-%->[ ]?([^\n]*)") do lines[#lines + 1] = text end
  return #lines > 0 and table.concat(lines, "\n") .. "\n" or nil
end

---A text with its tabs and wide gaps made alike.
---@param text string
---@return string
function M.spaced(text)
  return (text:gsub("\t", "  "):gsub("   +", "  "))
end

return M
