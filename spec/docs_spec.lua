-- The documentation: every example runs and prints what it says, every link
-- leads somewhere.
--
-- An example is a fence of ```lua; one of ```lua command needs the halo command
-- and does not run on stock Lua. If it has comments "--> text", it prints just
-- that (spec/output.lua). One that serves is started on a port of its own and
-- ended when its main chunk is done.
local output = require "spec.output"
local support = require "spec.support"

local function pages()
  local list = {}
  local pipe = assert(io.popen("ls README.md docs/*.md 2>/dev/null"))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

---The page's fences: { info, line, code }; and its text without them.
local function parse(text)
  local fences, prose, fence = {}, {}, nil
  local number = 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    local marks, info = line:match("^%s*(```+)%s*(.-)%s*$")
    if not marks then
      local list = fence or prose
      list[#list + 1] = line
    elseif fence then
      fence.code = table.concat(fence, "\n") .. "\n"
      fences[#fences + 1] = fence
      fence = nil
    else
      fence = { info = info, line = number }
    end
  end
  assert(not fence, "a fence is not closed")
  return fences, table.concat(prose, "\n")
end

local function check(fence)
  local code = fence.code
  if code:find("[.:]serve%s*[({]") then
    code = code:gsub("port = %d+", "port = 0") .. "os.exit(0)\n"
  end
  local out, err, status = support.run_script(support.host, code)
  assert.are.equal("", err)
  assert.are.equal(0, status)
  local text = output.expected(code)
  if text then assert.are.equal(output.spaced(text), output.spaced(out)) end
end

---The anchors that GitHub gives the headings of a page.
local function anchors(prose)
  local found, times = {}, {}
  for heading in ("\n" .. prose):gmatch("\n#+%s+([^\n]*)") do
    local anchor = heading:gsub("%[(.-)%]%(.-%)", "%1"):lower()
    anchor = anchor:gsub("[^%w%s_\128-\255-]", ""):gsub("%s", "-")
    times[anchor] = (times[anchor] or -1) + 1
    if times[anchor] > 0 then anchor = anchor .. "-" .. times[anchor] end
    found[anchor] = true
  end
  return found
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

---The links of a page that lead nowhere.
local function broken_links(path, prose)
  local broken = {}
  local directory = path:match("^(.*/)") or ""
  prose = prose:gsub("`[^`\n]*`", "")
  for target in prose:gmatch("%]%(([^)%s]+)%)") do
    local file, anchor = target:match("^([^#]*)#?(.*)$")
    if not target:find("^%a[%w+.-]*:") then
      local full = file == "" and path or directory .. file
      if not exists(full) then
        broken[#broken + 1] = target
      elseif anchor ~= "" then
        local _, text = parse(read(full))
        if not anchors(text)[anchor] then broken[#broken + 1] = target end
      end
    end
  end
  return broken
end

for _, path in ipairs(pages()) do
  local fences, prose = parse(read(path))
  describe(path, function()
    it("has links that lead somewhere", function()
      assert.are.same({}, broken_links(path, prose))
    end)

    for _, fence in ipairs(fences) do
      local language, host = fence.info:match("^(%S*)%s*(%S*)")
      if language == "lua" and (host ~= "command" or support.host == "halo") then
        it("has an example in line " .. fence.line .. " that runs", function()
          check(fence)
        end)
      end
    end
  end)
end

describe("docs/README.md", function()
  it("leads to every page", function()
    local index = read("docs/README.md")
    local missing = {}
    for _, path in ipairs(pages()) do
      local name = path:match("^docs/(.*)$")
      if name and name ~= "README.md" and not index:find("(" .. name .. ")", 1, true) then
        missing[#missing + 1] = name
      end
    end
    assert.are.same({}, missing)
  end)
end)
