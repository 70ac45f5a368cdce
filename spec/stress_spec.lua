-- Seeded random programs that mix everything. What must hold: each task ends
-- exactly once, nothing is open at the end, permits and values are conserved.
-- SPEC_SEED repeats one program, SPEC_ROUNDS sets how many there are.
local halo = require "halo"
local support = require "spec.support"

-- Scripts run on both hosts from the command's suite, and once only.
local hosts = support.host == "halo" and { "halo", "lua5.4" } or {}
local seed = tonumber(os.getenv("SPEC_SEED"))
local rounds = tonumber(os.getenv("SPEC_ROUNDS")) or 6

local function run(name, ...)
  for _, host in ipairs(hosts) do
    local out, err, code = support.run(host, { "spec/stress/" .. name .. ".lua", ... }, { timeout = 60 })
    local where = ("%s, spec/stress/%s.lua %s: %s"):format(host, name, table.concat({ ... }, " "), err)
    assert.are.equal("", err, where)
    assert.are.equal(0, code, where)
    assert.are.equal("ok\n", out, where)
  end
end

describe("random programs", function()
  for _, name in ipairs { "mixed", "timers", "channels", "generators", "promises" } do
    it("of " .. name .. " keep what must hold", function()
      for i = 1, seed and 1 or rounds do
        run(name, tostring(seed or i))
      end
    end)
  end

  it("keep it under a restless collector", function()
    run("mixed", tostring(seed or 1), "restless")
    run("promises", tostring(seed or 1), "restless")
    run("generators", tostring(seed or 1), "restless")
  end)
end)

describe("many", function()
  it("tasks at once", function()
    local ended, n = 0, 20000
    halo.run(function()
      for _ = 1, n do
        halo.spawn(function()
          halo.sleep(0.001)
          ended = ended + 1
        end)
      end
      halo.sleep(0.002)
      while ended < n do halo.yield() end
    end)
    assert.are.equal(n, ended)
  end)

  it("arguments and results", function()
    for _, n in ipairs { 0, 1, 250, 255, 256, 65530, 65533, 65534, 65536, 70000, 140000, 200000 } do
      local list = table.move({}, 1, 0, 1)
      for i = 1, n do list[i] = i end
      local results = table.pack(halo.await(halo.spawn(function(...)
        halo.yield()
        return ...
      end, table.unpack(list))))
      assert.are.equal(n, results.n)
      assert.are.equal(list[n], results[n])
    end
  end)

  it("results that no stack has room for are an error, not the end", function()
    local out, err, code = support.run_script("lua5.4", [[
      local halo = require "halo"
      local list = {}
      for i = 1, 600000 do list[i] = i end
      local function deep(n, f) if n == 0 then return (f()) end return (deep(n - 1, f)) end
      local function unpacked() return table.unpack(list) end
      local ways = {
        function() return select("#", halo.await(halo.spawn(unpacked))) end,
        function() return select("#", halo.run(unpacked)) end,
        function() return select("#", halo.await(halo.promise.resolve(unpacked()))) end,
        function() return select("#", halo.timeout(5, unpacked)) end,
      }
      for i, way in ipairs(ways) do
        for _, depth in ipairs { 1, 100000 } do
          for _, how in ipairs { pcall, function(...) return pcall(halo.await, halo.spawn(...)) end } do
            local ok, n = how(deep, depth, way)
            if ok and n ~= 600000 then print(i, depth, n) end
          end
        end
      end]])
    assert.are.equal("", err)
    assert.are.equal("", out)
    assert.are.equal(0, code)
  end)

  it("timers set and cleared", function()
    local timers = halo.timers
    local before = #halo.resources() -- the test's own time limit
    local list = {}
    for i = 1, 100000 do list[i] = timers.set_timeout(error, 1 + i % 1000, "fired") end
    for i = 1, #list do list[i]:clear() end
    assert.are.equal(before, #halo.resources())
  end)

  it("places that spawn each other cost no more with time", function()
    local _, err, code = support.run_script("halo", [[
      local halo = require "halo"
      local functions, source = {}, { "local halo, functions = ..." }
      for i = 1, 24 do
        source[#source + 1] = ("functions[%d] = function(n) if n > 0 then halo.spawn(functions[math.random(24)], n - 1) end end"):format(i)
      end
      load(table.concat(source, "\n"), "=generated")(halo, functions)
      local function round()
        local clock = os.clock()
        halo.spawn(functions[1], 20000)
        halo.yield()
        return os.clock() - clock
      end
      round()
      local first = round()
      for _ = 1, 3 do round() end
      local last = round()
      assert(last < 4 * first + 0.05, ("%g s, then %g s"):format(first, last))]])
    assert.are.equal("", err)
    assert.are.equal(0, code)
  end)
end)
