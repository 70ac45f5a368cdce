local buffer = require "halo.buffer"

local here = debug.getinfo(1, "S").short_src

-- Calls fn, which must raise at its own line, and gives the message.
local function misuse(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  local place, text = tostring(message):match("^(.-):%d+: (.*)$")
  assert.are.equal(here, place, message)
  return text
end

describe("a buffer", function()
  it("is new with zero bytes, or a copy of others", function()
    local b = buffer.new(4)
    assert.are.equal(4, #b)
    assert.are.equal("\0\0\0\0", b:tostring())
    assert.are.equal(0, #buffer.new(0))
    local c = buffer.from("a\0b")
    assert.are.equal("a\0b", tostring(c))
    local d = buffer.from(c)
    d[1] = 120
    assert.are.equal("a\0b", c:tostring())
    assert.are.equal("x\0b", d:tostring())
    assert.are.equal("12", buffer.from(12):tostring())
  end)

  it("refuses sizes that are none", function()
    assert.matches("bad argument #1 to 'new'", misuse(function() buffer.new(-1) end))
    assert.matches("bad argument #1 to 'new'", misuse(function() buffer.new(1.5) end))
    assert.matches("bad argument #1 to 'new'", misuse(function() buffer.new() end))
    assert.matches("bad argument #1 to 'new'", misuse(function() buffer.new(math.maxinteger) end))
    assert.matches("string or buffer expected", misuse(function() buffer.from({}) end))
    assert.matches("string or buffer expected", misuse(function() buffer.from(nil) end))
  end)

  it("is indexed by bytes from 1 on", function()
    local b = buffer.from("abc")
    assert.are.equal(97, b[1])
    assert.are.equal(99, b[3])
    assert.is_nil(b[0])
    assert.is_nil(b[4])
    assert.is_nil(b[-1])
    assert.is_nil(b.nothing)
    b[2] = 255
    assert.are.equal("a\255c", b:sub())
  end)

  it("takes floats with an integer's value as indices, as tables do", function()
    local b = buffer.from("abc")
    b[1.0] = 120
    assert.are.equal(120, b[1])
    assert.are.equal(98, b[2.0])
  end)

  it("raises where a byte is set that is none, or outside", function()
    local b = buffer.new(3)
    assert.matches("out of range", misuse(function() b[0] = 1 end))
    assert.matches("out of range", misuse(function() b[4] = 1 end))
    assert.matches("byte expected", misuse(function() b[1] = 256 end))
    assert.matches("byte expected", misuse(function() b[1] = -1 end))
    assert.matches("number expected", misuse(function() b[1] = "x" end))
    assert.matches("number expected", misuse(function() b.field = 1 end))
    assert.are.equal("\0\0\0", b:sub())
  end)

  it("gives parts as string.sub does", function()
    local s = "abcdef"
    local b = buffer.from(s)
    local positions = { math.mininteger, -7, -6, -2, -1, 0, 1, 2, 6, 7, math.maxinteger }
    for _, i in ipairs(positions) do
      assert.are.equal(s:sub(i), b:sub(i))
      for _, j in ipairs(positions) do
        assert.are.equal(s:sub(i, j), b:sub(i, j))
        assert.are.equal(s:sub(i, j), b:copy(i, j):tostring())
      end
    end
    assert.are.equal("", buffer.new(0):sub(1, -1))
  end)

  it("copies itself, or a part, to a new one", function()
    local b = buffer.from("abc")
    local c = b:copy()
    c[1] = 120
    assert.are.equal("abc", b:sub())
    assert.are.equal("xbc", c:sub())
    assert.are.equal("bc", b:copy(2):sub())
  end)

  it("is overwritten by strings and buffers", function()
    local b = buffer.from("abcdef")
    assert.are.equal(b, b:set(2, "XY"))
    assert.are.equal("aXYdef", b:sub())
    b:set(5, buffer.from("12"))
    assert.are.equal("aXYd12", b:sub())
    b:set(7, "")
    b:set(1, b)
    assert.are.equal("aXYd12", b:sub())
  end)

  it("raises where what is set does not fit", function()
    local b = buffer.from("abc")
    assert.matches("out of range", misuse(function() b:set(3, "xy") end))
    assert.matches("out of range", misuse(function() b:set(0, "x") end))
    assert.matches("out of range", misuse(function() b:set(5, "") end))
    assert.matches("out of range", misuse(function() b:set(math.maxinteger, "x") end))
    assert.matches("out of range", misuse(function() b:set(math.mininteger, "x") end))
    assert.matches("string or buffer expected", misuse(function() b:set(1, true) end))
    assert.are.equal("abc", b:sub())
  end)

  it("is filled, in whole or in part", function()
    local b = buffer.new(4)
    assert.are.equal(b, b:fill(120))
    assert.are.equal("xxxx", b:sub())
    assert.are.equal("x--x", b:fill(45, 2, 3):sub())
    assert.are.equal("x--+", b:fill(43, -1):sub())
    assert.are.equal("x--+", b:fill(0, 5):fill(0, 3, 2):fill(0, math.maxinteger):sub())
    assert.matches("byte expected", misuse(function() b:fill(256) end))
    assert.matches("number expected", misuse(function() b:fill() end))
  end)

  it("packs in place and unpacks, as string.pack and string.unpack", function()
    local b = buffer.new(12)
    assert.are.equal(10, b:pack(1, ">I2 s1 <i4", 513, "hi", -2))
    assert.are.equal(string.pack(">I2 s1 <i4", 513, "hi", -2), b:sub(1, 9))
    assert.are.same({ 513, "hi", -2, 10 }, { b:unpack(">I2 s1 <i4") })
    assert.are.same({ -2, 10 }, { b:unpack("<i4", 6) })
    assert.are.equal(13, b:pack(13, ""))
  end)

  it("raises where what is packed does not fit, and changes nothing", function()
    local b = buffer.from("abc")
    assert.matches("out of range", misuse(function() b:pack(2, "I4", 7) end))
    assert.matches("out of range", misuse(function() b:pack(0, "b", 7) end))
    assert.matches("out of range", misuse(function() b:pack(5, "") end))
    assert.are.equal("abc", b:sub())
  end)

  it("raises wrong formats and values at the caller's line", function()
    local b = buffer.from("abc")
    assert.matches("out of limits", misuse(function() b:pack(1, "i99", 7) end))
    assert.matches("number expected", misuse(function() b:pack(1, "b", "x") end))
    assert.matches("too short", misuse(function() b:unpack("i4") end))
    assert.matches("out of string", misuse(function() b:unpack("b", 9) end))
  end)

  it("equals another of the same bytes, and no string", function()
    assert.is_true(buffer.from("abc") == buffer.from("abc"))
    assert.is_false(buffer.from("abc") == buffer.from("abd"))
    assert.is_false(buffer.from("abc") == buffer.from("ab"))
    assert.is_false(buffer.from("abc") == "abc")
    assert.is_true(buffer.new(0) == buffer.from(""))
  end)

  it("cannot be mistaken for anything else", function()
    local b = buffer.new(1)
    assert.matches("halo.buffer expected", misuse(function() b.sub("abc") end))
    assert.matches("halo.buffer expected", misuse(function() b.sub(io.stdout) end))
    assert.matches("halo.buffer expected", misuse(function() b.fill({}, 1) end))
    assert.is_false(pcall(setmetatable, b, {}))
    assert.are.equal("string", type(getmetatable(b)))
  end)

  it("is seen by the collector", function()
    collectgarbage()
    for _ = 1, 2000 do buffer.new(1024 * 1024) end -- 2 GiB in all
    local file = io.open("/proc/self/statm")
    if not file then return end
    local _, pages = file:read("n", "n")
    file:close()
    assert.is_true(pages * 4096 < 1024 * 1024 * 1024)
  end)
end)
