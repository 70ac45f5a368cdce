-- What `halo test` is tried on; not a spec of the suite.
local halo = require "halo"

describe("a group", function()
  it("waits", function()
    halo.sleep(0.01)
    assert.is_truthy(halo.current())
  end)
  it("fails", function()
    halo.sleep(0.001)
    assert.are.equal(1, 2)
  end)
  it("raises", function()
    error "too late"
  end)
  it("hangs", function() halo.sleep(60) end)
  it("leaves a timer", function()
    halo.timers.set_timeout(print, 60)
  end)
  it("is pending", function() pending "later" end)
end)
