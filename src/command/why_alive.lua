-- halo --why-alive: the main chunk is done; what keeps the process up?
local halo = require("halo")
local timers = require("halo.timers")

local function report()
  local lines = {}
  for _, r in ipairs(halo.resources()) do
    if not r.unref then
      local detail = r.detail ~= "" and " " .. r.detail or ""
      lines[#lines + 1] = ("  %s%s, for %.3f s"):format(r.kind, detail, r.age)
    end
  end
  if #lines > 0 then
    table.insert(lines, 1, "halo: kept alive by")
    io.stderr:write(table.concat(lines, "\n"), "\n")
  end
  return #lines > 0
end

-- What ends in this very turn is no reason.
timers.set_immediate(function()
  if not report() then return end
  require("halo.process").on("SIGINT", function()
    report()
    os.exit(130)
  end)
end)
