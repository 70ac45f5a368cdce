-- Each program of spec/order prints its lines in the order that Node's twin
-- of it does: NAME.lua is run by both hosts, NAME.js by node if there is one,
-- and NAME.txt is what all of them print.
local support = require("spec.support")

local directory = "spec/order/"

local function names()
  local list = {}
  local pipe = assert(io.popen("ls " .. support.quote(directory)))
  for line in pipe:lines() do
    list[#list + 1] = line:match("^(.+)%.lua$")
  end
  pipe:close()
  return list
end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local node = os.execute("command -v node >/dev/null 2>&1")
local outside = [[local halo = require("halo"); halo.run(assert(loadfile(arg[1])))]]

local function check(name, stdout, stderr, code)
  assert.equal("", stderr)
  assert.equal(slurp(directory .. name .. ".txt"), stdout)
  assert.equal(0, code)
end

describe("order of execution:", function()
  it("there are programs", function()
    assert.is_true(#names() >= 45)
  end)

  for _, name in ipairs(names()) do
    describe(name, function()
      it(support.host, function()
        local path = directory .. name .. ".lua"
        if support.host == "halo" then
          check(name, support.run("halo", { path }))
        else
          check(name, support.run_script("lua5.4", outside, { args = { path } }))
        end
      end)

      if support.host == "halo" then -- once is enough
        it("node", function()
          if not node then
            pending("no node")
            return
          end
          local pipe = assert(io.popen("node " .. support.quote(directory .. name .. ".js")))
          local text = pipe:read("a")
          assert.is_true(pipe:close())
          assert.equal(slurp(directory .. name .. ".txt"), text)
        end)
      end
    end)
  end
end)
