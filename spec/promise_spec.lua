-- Promises/A+ 1.1, clause by clause, as Halo has it: `then` is `next`, and a
-- thenable is a value whose metatable has a callable __then. Then what goes
-- beyond it: any number of values, combinators, finally, try.
local halo = require("halo")
local promise = require("halo.promise")
local timers = require("halo.timers")

local dummy = { dummy = "dummy" }
local sentinel = { sentinel = "sentinel" }
local other = { other = "other" }

-- Lets everything run that is ready.
local function drain()
  halo.yield()
  halo.yield()
end

-- A function that counts and keeps its calls.
local function recorder(body)
  local r = { calls = 0, args = {} }
  return r, function(...)
    r.calls = r.calls + 1
    r.args[r.calls] = table.pack(...)
    if body then
      return body(...)
    end
  end
end

-- Calls test(name, make) for each way to get a promise fulfilled with a value:
-- before, soon after and later than somebody looks at it.
local function each_fulfilled(value, test)
  test("already fulfilled", function()
    return promise.resolve(value)
  end)
  test("fulfilled by the executor", function()
    return promise.new(function(resolve)
      resolve(value)
    end)
  end)
  test("fulfilled at once", function()
    local p, resolve = promise.with_resolvers()
    halo.queue_microtask(resolve, value)
    return p
  end)
  test("fulfilled later", function()
    local p, resolve = promise.with_resolvers()
    timers.set_timeout(resolve, 0.002, value)
    return p
  end)
  test("a task", function()
    return halo.spawn(function()
      return value
    end)
  end)
end

local function each_rejected(reason, test)
  test("already rejected", function()
    return promise.reject(reason)
  end)
  test("rejected by the executor", function()
    return promise.new(function(_, reject)
      reject(reason)
    end)
  end)
  test("rejected at once", function()
    local p, _, reject = promise.with_resolvers()
    halo.queue_microtask(reject, reason)
    return p
  end)
  test("rejected later", function()
    local p, _, reject = promise.with_resolvers()
    timers.set_timeout(reject, 0.002, reason)
    return p
  end)
  test("a task", function()
    return halo.spawn(function()
      error(reason, 0)
    end)
  end)
end

local function thenable(body)
  return setmetatable({}, { __then = body })
end

-- The reason for which a promise is rejected.
local function reason_of(p)
  local ok, err = pcall(halo.await, p)
  assert.is_false(ok)
  return err
end

local non_functions = { false, 5, "text", {}, io.stdout }
local everything = { 1, 2.5, "text", true, false, {}, print, coroutine.create(print), io.stdout }

describe("Promises/A+ 2.1: states:", function()
  describe("2.1.1: when pending, a promise", function()
    it("2.1.1.1: may transition to fulfilled", function()
      local p, resolve = promise.with_resolvers()
      assert.equal("pending", p:status())
      resolve(dummy)
      assert.equal("fulfilled", p:status())
    end)

    it("2.1.1.1: may transition to rejected", function()
      local p, _, reject = promise.with_resolvers()
      assert.equal("pending", p:status())
      reject(dummy)
      assert.equal("rejected", p:status())
      p:catch(function() end)
    end)

    it("2.1.1: stays pending as long as nobody settles it", function()
      local p = promise.new(function() end)
      drain()
      assert.equal("pending", p:status())
    end)
  end)

  describe("2.1.2: when fulfilled, a promise", function()
    each_fulfilled(dummy, function(name, make)
      it("2.1.2.1: must not transition to any other state: " .. name, function()
        local p = make()
        local rejected, on_error = recorder()
        p:next(nil, on_error)
        halo.await(p)
        drain()
        assert.equal("fulfilled", p:status())
        assert.equal(0, rejected.calls)
      end)

      it("2.1.2.2: must have a value, which must not change: " .. name, function()
        local p = make()
        assert.equal(dummy, halo.await(p))
        assert.equal(dummy, halo.await(p))
      end)
    end)

    it("2.1.2.1: does not hear of a rejection afterwards", function()
      local p, resolve, reject = promise.with_resolvers()
      resolve(dummy)
      reject(other)
      drain()
      assert.equal("fulfilled", p:status())
      assert.equal(dummy, halo.await(p))
    end)

    it("2.1.2.2: does not hear of another value", function()
      local p, resolve = promise.with_resolvers()
      resolve(dummy)
      resolve(other)
      assert.equal(dummy, halo.await(p))
    end)
  end)

  describe("2.1.3: when rejected, a promise", function()
    each_rejected(dummy, function(name, make)
      it("2.1.3.1: must not transition to any other state: " .. name, function()
        local p = make()
        local fulfilled, on_value = recorder()
        p:next(on_value, function() end)
        reason_of(p)
        drain()
        assert.equal("rejected", p:status())
        assert.equal(0, fulfilled.calls)
      end)

      it("2.1.3.2: must have a reason, which must not change: " .. name, function()
        local p = make()
        assert.equal(dummy, reason_of(p))
        assert.equal(dummy, reason_of(p))
      end)
    end)

    it("2.1.3.1: does not hear of a value afterwards", function()
      local p, resolve, reject = promise.with_resolvers()
      reject(dummy)
      resolve(other)
      reject(other)
      assert.equal(dummy, reason_of(p))
    end)
  end)
end)

describe("Promises/A+ 2.2: next:", function()
  describe("2.2.1: both arguments are optional:", function()
    it("2.2.1: none at all", function()
      assert.equal(dummy, halo.await(promise.resolve(dummy):next()))
      assert.equal(dummy, reason_of(promise.reject(dummy):next()))
    end)

    for i, value in ipairs(non_functions) do
      local name = i .. ", " .. type(value)
      it("2.2.1.1: an on_value that is no function is ignored: " .. name, function()
        local rejected, on_error = recorder()
        promise.reject(dummy):next(value, on_error)
        drain()
        assert.equal(1, rejected.calls)
        assert.equal(dummy, rejected.args[1][1])
        assert.equal(dummy, reason_of(promise.reject(dummy):next(value):next(value, nil)))
      end)

      it("2.2.1.2: an on_error that is no function is ignored: " .. name, function()
        local fulfilled, on_value = recorder()
        promise.resolve(dummy):next(on_value, value)
        drain()
        assert.equal(1, fulfilled.calls)
        assert.equal(dummy, halo.await(promise.resolve(dummy):next(nil, value):catch(value)))
      end)
    end
  end)

  describe("2.2.2: an on_value that is a function", function()
    each_fulfilled(sentinel, function(name, make)
      it("2.2.2.1: must be called after the promise is fulfilled, with its value: " .. name, function()
        local p = make()
        local state
        local fulfilled, on_value = recorder(function()
          state = p:status()
        end)
        halo.await(p:next(on_value))
        assert.equal("fulfilled", state)
        assert.equal(1, fulfilled.calls)
        assert.equal(sentinel, fulfilled.args[1][1])
      end)

      it("2.2.2.3: must not be called more than once: " .. name, function()
        local p = make()
        local fulfilled, on_value = recorder()
        p:next(on_value)
        halo.await(p)
        drain()
        assert.equal(1, fulfilled.calls)
      end)
    end)

    it("2.2.2.2: must not be called before the promise is fulfilled", function()
      local p, resolve = promise.with_resolvers()
      local fulfilled, on_value = recorder()
      p:next(on_value)
      drain()
      assert.equal(0, fulfilled.calls)
      resolve(dummy)
      assert.equal(0, fulfilled.calls)
      drain()
      assert.equal(1, fulfilled.calls)
    end)

    it("2.2.2.2: must not be called if it never is", function()
      local p = promise.with_resolvers()
      local fulfilled, on_value = recorder()
      p:next(on_value)
      promise.reject(dummy):next(on_value, function() end)
      drain()
      assert.equal(0, fulfilled.calls)
    end)

    it("2.2.2.3: must not be called more than once, however often it is resolved", function()
      local p, resolve = promise.with_resolvers()
      local fulfilled, on_value = recorder()
      p:next(on_value)
      resolve(dummy)
      resolve(dummy)
      drain()
      resolve(dummy)
      drain()
      assert.equal(1, fulfilled.calls)
    end)

    it("2.2.2.3: is called once for each time it was given", function()
      local p, resolve = promise.with_resolvers()
      local fulfilled, on_value = recorder()
      p:next(on_value)
      p:next(on_value)
      resolve(dummy)
      p:next(on_value)
      drain()
      assert.equal(3, fulfilled.calls)
    end)
  end)

  describe("2.2.3: an on_error that is a function", function()
    each_rejected(sentinel, function(name, make)
      it("2.2.3.1: must be called after the promise is rejected, with its reason: " .. name, function()
        local p = make()
        local state
        local rejected, on_error = recorder(function()
          state = p:status()
        end)
        halo.await(p:next(nil, on_error))
        assert.equal("rejected", state)
        assert.equal(1, rejected.calls)
        assert.equal(sentinel, rejected.args[1][1])
      end)

      it("2.2.3.3: must not be called more than once: " .. name, function()
        local p = make()
        local rejected, on_error = recorder()
        p:next(nil, on_error)
        reason_of(p)
        drain()
        assert.equal(1, rejected.calls)
      end)
    end)

    it("2.2.3.2: must not be called before the promise is rejected", function()
      local p, _, reject = promise.with_resolvers()
      local rejected, on_error = recorder()
      p:next(nil, on_error)
      drain()
      assert.equal(0, rejected.calls)
      reject(dummy)
      assert.equal(0, rejected.calls)
      drain()
      assert.equal(1, rejected.calls)
    end)

    it("2.2.3.2: must not be called if it never is", function()
      local p = promise.with_resolvers()
      local rejected, on_error = recorder()
      p:next(nil, on_error)
      promise.resolve(dummy):next(nil, on_error)
      drain()
      assert.equal(0, rejected.calls)
    end)

    it("2.2.3.3: must not be called more than once, however often it is rejected", function()
      local p, resolve, reject = promise.with_resolvers()
      local rejected, on_error = recorder()
      p:next(nil, on_error)
      reject(dummy)
      reject(other)
      resolve(other)
      drain()
      reject(dummy)
      drain()
      assert.equal(1, rejected.calls)
    end)
  end)

  describe("2.2.4: callbacks run from a clean stack:", function()
    it("2.2.4: not inside next, for a promise that is settled", function()
      local called = false
      promise.resolve(dummy):next(function()
        called = true
      end)
      promise.reject(dummy):catch(function()
        called = true
      end)
      assert.is_false(called)
      drain()
      assert.is_true(called)
    end)

    it("2.2.4: not inside resolve or reject", function()
      local order = {}
      local p, resolve = promise.with_resolvers()
      local q, _, reject = promise.with_resolvers()
      p:next(function()
        order[#order + 1] = "p"
      end)
      q:catch(function()
        order[#order + 1] = "q"
      end)
      resolve(dummy)
      reject(dummy)
      order[#order + 1] = "after"
      drain()
      assert.same({ "after", "p", "q" }, order)
    end)

    it("2.2.4: not inside another callback", function()
      local order = {}
      local p = promise.resolve(dummy)
      p:next(function()
        p:next(function()
          order[#order + 1] = "inner"
        end)
        order[#order + 1] = "outer"
      end)
      promise.reject(dummy):catch(function()
        p:next(function()
          order[#order + 1] = "inner of rejected"
        end)
        order[#order + 1] = "outer of rejected"
      end)
      drain()
      assert.same({ "outer", "outer of rejected", "inner", "inner of rejected" }, order)
    end)

    it("2.2.4: each in a task of its own", function()
      local tasks = {}
      local p = promise.resolve(dummy)
      for i = 1, 2 do
        p:next(function()
          tasks[i] = halo.current()
        end)
      end
      drain()
      assert.not_nil(tasks[1])
      assert.not_nil(tasks[2])
      assert.is_false(rawequal(tasks[1], tasks[2]))
    end)

    it("2.2.4: with a stack that holds nothing of the caller's", function()
      local trace
      local function distinctive_caller()
        return promise.resolve(dummy):next(function()
          trace = debug.traceback()
        end)
      end
      halo.await(distinctive_caller())
      assert.is_nil(trace:find("distinctive_caller", 1, true))
    end)
  end)

  it("2.2.5: callbacks are called as functions, with nothing but the value", function()
    local fulfilled, on_value = recorder()
    local rejected, on_error = recorder()
    promise.resolve(dummy):next(on_value)
    promise.reject(dummy):next(nil, on_error)
    promise.resolve():next(on_value)
    drain()
    assert.equal(1, fulfilled.args[1].n)
    assert.equal(1, rejected.args[1].n)
    assert.equal(0, fulfilled.args[2].n)
  end)

  describe("2.2.6: next may be called many times on one promise:", function()
    each_fulfilled(sentinel, function(name, make)
      it("2.2.6.1: all on_value are called, in order: " .. name, function()
        local order = {}
        local p = make()
        for i = 1, 5 do
          p:next(function(v)
            order[#order + 1] = i
            assert(v == sentinel)
            if i == 3 then
              error("in one of them")
            end
          end):catch(function() end)
        end
        halo.await(p)
        drain()
        assert.same({ 1, 2, 3, 4, 5 }, order)
      end)
    end)

    each_rejected(sentinel, function(name, make)
      it("2.2.6.2: all on_error are called, in order: " .. name, function()
        local order = {}
        local p = make()
        for i = 1, 5 do
          p:next(nil, function(e)
            order[#order + 1] = i
            assert(e == sentinel)
            if i == 3 then
              error("in one of them")
            end
          end):catch(function() end)
        end
        reason_of(p)
        drain()
        assert.same({ 1, 2, 3, 4, 5 }, order)
      end)
    end)

    it("2.2.6: each has its own branch", function()
      local p = promise.resolve(1)
      local a = p:next(function(v)
        return v + 1
      end)
      local b = p:next(function()
        error(other, 0)
      end)
      b:catch(function() end)
      local c = p:next(function(v)
        return v + 10
      end)
      assert.equal(2, halo.await(a))
      assert.equal(other, reason_of(b))
      assert.equal(11, halo.await(c))
    end)
  end)

  describe("2.2.7: next must return a promise:", function()
    it("2.2.7: a promise, not the same one", function()
      local p = promise.resolve(dummy)
      local q = p:next()
      assert.is_true(promise.is_promise(q))
      assert.is_false(rawequal(p, q))
    end)

    for i, value in ipairs(everything) do
      it(("2.2.7.1: what a callback returns resolves it: %d, %s"):format(i, type(value)), function()
        local function give()
          return value
        end
        assert.equal(value, halo.await(promise.resolve(dummy):next(give)))
        assert.equal(value, halo.await(promise.reject(dummy):next(nil, give)))
      end)

      it(("2.2.7.2: what a callback raises rejects it: %d, %s"):format(i, type(value)), function()
        local function raise()
          error(value, 0)
        end
        assert.equal(value, reason_of(promise.resolve(dummy):next(raise)))
        assert.equal(value, reason_of(promise.reject(dummy):next(nil, raise)))
      end)
    end

    it("2.2.7.2: nil raised is nil", function()
      local ok, err = pcall(halo.await, promise.resolve():next(function()
        error(nil, 0)
      end))
      assert.is_false(ok)
      assert.is_nil(err)
    end)

    each_fulfilled(sentinel, function(name, make)
      it("2.2.7.3: without an on_value it is fulfilled with the same value: " .. name, function()
        assert.equal(sentinel, halo.await(make():next(nil, function()
          return other
        end)))
      end)
    end)

    each_rejected(sentinel, function(name, make)
      it("2.2.7.4: without an on_error it is rejected for the same reason: " .. name, function()
        assert.equal(sentinel, reason_of(make():next(function()
          return other
        end)))
      end)
    end)
  end)
end)

-- Calls test(name, resolve_with): resolve_with(x) is a promise resolved with x
-- in each of the ways that there are.
local function each_resolution(test)
  test("returned by on_value", function(make_x)
    return promise.resolve(dummy):next(function()
      return make_x()
    end)
  end)
  test("returned by on_error", function(make_x)
    return promise.reject(dummy):next(nil, function()
      return make_x()
    end)
  end)
  test("given to resolve", function(make_x)
    return promise.new(function(resolve)
      resolve(make_x())
    end)
  end)
  test("given to promise.resolve", function(make_x)
    return promise.resolve(make_x())
  end)
end

describe("Promises/A+ 2.3: the resolution procedure:", function()
  describe("2.3.1: a promise resolved with itself is rejected:", function()
    it("2.3.1: by its own callback", function()
      local p
      p = promise.resolve(dummy):next(function()
        return p
      end)
      local err = reason_of(p)
      assert.is_truthy(tostring(err):find("itself"))
    end)

    it("2.3.1: by its own on_error", function()
      local p
      p = promise.reject(dummy):next(nil, function()
        return p
      end)
      assert.is_truthy(tostring(reason_of(p)):find("itself"))
    end)

    it("2.3.1: by its own resolve", function()
      local p, resolve = promise.with_resolvers()
      resolve(p)
      assert.equal("rejected", p:status())
      assert.is_true(halo.is_error(reason_of(p)))
    end)
  end)

  describe("2.3.2: a promise is adopted:", function()
    each_resolution(function(name, resolve_with)
      it("2.3.2.1: pending as long as it is pending: " .. name, function()
        local x, resolve_x = promise.with_resolvers()
        local p = resolve_with(function()
          return x
        end)
        local settled, callback = recorder()
        p:next(callback, callback)
        drain()
        assert.equal("pending", p:status())
        assert.equal(0, settled.calls)
        resolve_x(sentinel)
        assert.equal(sentinel, halo.await(p))
      end)

      each_fulfilled(sentinel, function(how, make)
        it(("2.3.2.2: fulfilled with the same value: %s, %s"):format(name, how), function()
          assert.equal(sentinel, halo.await(resolve_with(make)))
        end)
      end)

      each_rejected(sentinel, function(how, make)
        it(("2.3.2.3: rejected for the same reason: %s, %s"):format(name, how), function()
          assert.equal(sentinel, reason_of(resolve_with(make)))
        end)
      end)
    end)

    it("2.3.2: what is resolved with a pending promise hears of nothing else", function()
      local x, resolve_x = promise.with_resolvers()
      local p, resolve, reject = promise.with_resolvers()
      resolve(x)
      resolve(other)
      reject(other)
      drain()
      assert.equal("pending", p:status())
      resolve_x(sentinel)
      assert.equal(sentinel, halo.await(p))
    end)
  end)

  describe("2.3.3: a table or userdata:", function()
    describe("2.3.3.1: its __then is looked up in its metatable", function()
      it("2.3.3.1: and called in a turn of its own", function()
        local called = false
        local x = thenable(function(_, resolve)
          called = true
          resolve(dummy)
        end)
        local p = promise.resolve(x)
        assert.is_false(called)
        halo.await(p)
        assert.is_true(called)
      end)

      it("2.3.3.1: once", function()
        local lookups = 0
        local meta = setmetatable({}, {
          __index = function(_, key)
            if key == "__then" then
              lookups = lookups + 1
            end
          end,
        })
        local x = setmetatable({}, meta)
        assert.equal(x, halo.await(promise.resolve(x)))
        assert.equal(0, lookups) -- metatables are read raw, as Lua does it

        local calls = 0
        meta.__then = function(_, resolve)
          calls = calls + 1
          meta.__then = error
          resolve(sentinel)
        end
        assert.equal(sentinel, halo.await(promise.resolve(x)))
        assert.equal(1, calls)
      end)

      it("2.3.3.1: a field of some name makes no thenable", function()
        for _, name in ipairs({ "then", "next", "await", "__then" }) do
          local called = false
          local x = {
            [name] = function()
              called = true
            end,
          }
          assert.equal(x, halo.await(promise.resolve(x)))
          assert.equal(x, halo.await(promise.resolve(setmetatable({}, { __index = x, __name = "x" })):next(function()
            return x
          end)))
          assert.is_false(called)
        end
      end)
    end)

    it("2.3.3.2: reading it cannot raise: an __index that does is not asked", function()
      local function raise()
        error("asked")
      end
      local x = setmetatable({}, setmetatable({ __index = raise }, { __index = raise }))
      assert.is_true(rawequal(x, (halo.await(promise.resolve(x)))))
    end)

    each_resolution(function(name, resolve_with)
      describe("2.3.3.3: a callable __then is called: " .. name .. ":", function()
        it("2.3.3.3: with the value, and two functions", function()
          local args
          local x = thenable(function(...)
            args = table.pack(...)
            args[2](sentinel)
          end)
          assert.equal(sentinel, halo.await(resolve_with(function()
            return x
          end)))
          assert.equal(3, args.n)
          assert.is_true(rawequal(x, args[1]))
          assert.equal("function", type(args[2]))
          assert.equal("function", type(args[3]))
        end)

        it("2.3.3.3: also a callable table", function()
          local callable = setmetatable({}, {
            __call = function(_, _, resolve)
              resolve(sentinel)
            end,
          })
          assert.equal(sentinel, halo.await(resolve_with(function()
            return thenable(callable)
          end)))
        end)

        for i, y in ipairs(everything) do
          it(("2.3.3.3.1: resolve(y) resolves with y: %d, %s"):format(i, type(y)), function()
            assert.equal(y, halo.await(resolve_with(function()
              return thenable(function(_, resolve)
                resolve(y)
              end)
            end)))
          end)

          it(("2.3.3.3.2: reject(r) rejects with r: %d, %s"):format(i, type(y)), function()
            assert.equal(y, reason_of(resolve_with(function()
              return thenable(function(_, _, reject)
                reject(y)
              end)
            end)))
          end)
        end

        each_fulfilled(sentinel, function(how, make)
          it("2.3.3.3.1: resolve(y) adopts a promise: " .. how, function()
            assert.equal(sentinel, halo.await(resolve_with(function()
              return thenable(function(_, resolve)
                resolve(make())
              end)
            end)))
          end)
        end)

        each_rejected(sentinel, function(how, make)
          it("2.3.3.3.1: resolve(y) adopts a rejected promise: " .. how, function()
            assert.equal(sentinel, reason_of(resolve_with(function()
              return thenable(function(_, resolve)
                resolve(make())
              end)
            end)))
          end)
        end)

        it("2.3.3.3.1: resolve(y) adopts thenables, several deep", function()
          local function deep(n)
            return thenable(function(_, resolve)
              resolve(n == 0 and sentinel or deep(n - 1))
            end)
          end
          assert.equal(sentinel, halo.await(resolve_with(function()
            return deep(5)
          end)))
        end)

        it("2.3.3.3.1: resolve(y) may come later", function()
          assert.equal(sentinel, halo.await(resolve_with(function()
            return thenable(function(_, resolve)
              timers.set_timeout(resolve, 0.002, sentinel)
            end)
          end)))
        end)

        it("2.3.3.3.2: reject(r) takes a promise as it is", function()
          local r = promise.resolve(other)
          assert.is_true(rawequal(r, reason_of(resolve_with(function()
            return thenable(function(_, _, reject)
              reject(r)
            end)
          end))))
        end)

        describe("2.3.3.3.3: the first call counts:", function()
          local function outcome(body)
            local p = resolve_with(function()
              return thenable(body)
            end)
            local result = table.pack(pcall(halo.await, p))
            drain()
            return result[1], result[2]
          end

          it("2.3.3.3.3: resolve, resolve", function()
            local ok, v = outcome(function(_, resolve)
              resolve(sentinel)
              resolve(other)
            end)
            assert.is_true(ok)
            assert.equal(sentinel, v)
          end)

          it("2.3.3.3.3: resolve, reject", function()
            local ok, v = outcome(function(_, resolve, reject)
              resolve(sentinel)
              reject(other)
            end)
            assert.is_true(ok)
            assert.equal(sentinel, v)
          end)

          it("2.3.3.3.3: reject, resolve, reject", function()
            local ok, v = outcome(function(_, resolve, reject)
              reject(sentinel)
              resolve(other)
              reject(other)
            end)
            assert.is_false(ok)
            assert.equal(sentinel, v)
          end)

          it("2.3.3.3.3: resolve, and reject later", function()
            local ok, v = outcome(function(_, resolve, reject)
              resolve(sentinel)
              halo.queue_microtask(reject, other)
            end)
            assert.is_true(ok)
            assert.equal(sentinel, v)
          end)

          it("2.3.3.3.3: both later", function()
            local ok, v = outcome(function(_, resolve, reject)
              halo.queue_microtask(reject, sentinel)
              halo.queue_microtask(resolve, other)
            end)
            assert.is_false(ok)
            assert.equal(sentinel, v)
          end)

          it("2.3.3.3.3: resolve with a promise that is pending, then reject", function()
            local x, resolve_x = promise.with_resolvers()
            local ok, v = outcome(function(_, resolve, reject)
              resolve(x)
              reject(other)
              resolve(other)
              timers.set_timeout(resolve_x, 0.002, sentinel)
            end)
            assert.is_true(ok)
            assert.equal(sentinel, v)
          end)
        end)

        describe("2.3.3.3.4: __then raises:", function()
          it("2.3.3.3.4.1: after resolve: ignored", function()
            assert.equal(sentinel, halo.await(resolve_with(function()
              return thenable(function(_, resolve)
                resolve(sentinel)
                error(other, 0)
              end)
            end)))
          end)

          it("2.3.3.3.4.1: after resolve with a pending promise: ignored", function()
            local x, resolve_x = promise.with_resolvers()
            timers.set_timeout(resolve_x, 0.002, sentinel)
            assert.equal(sentinel, halo.await(resolve_with(function()
              return thenable(function(_, resolve)
                resolve(x)
                error(other, 0)
              end)
            end)))
          end)

          it("2.3.3.3.4.1: after reject: ignored", function()
            assert.equal(sentinel, reason_of(resolve_with(function()
              return thenable(function(_, _, reject)
                reject(sentinel)
                error(other, 0)
              end)
            end)))
          end)

          it("2.3.3.3.4.2: before either: rejects with what it raised", function()
            assert.equal(sentinel, reason_of(resolve_with(function()
              return thenable(function()
                error(sentinel, 0)
              end)
            end)))
          end)

          it("2.3.3.3.4.2: before a resolve that comes later", function()
            assert.equal(sentinel, reason_of(resolve_with(function()
              return thenable(function(_, resolve)
                halo.queue_microtask(resolve, other)
                error(sentinel, 0)
              end)
            end)))
          end)
        end)
      end)

      for i, value in ipairs({ false, 5, "text", {} }) do
        it(("2.3.3.4: a __then that cannot be called: %s: %d, %s"):format(name, i, type(value)), function()
          local x = setmetatable({}, { __then = value })
          assert.is_true(rawequal(x, (halo.await(resolve_with(function()
            return x
          end)))))
        end)
      end

      for i, value in ipairs(everything) do
        it(("2.3.4: what is no thenable fulfils: %s: %d, %s"):format(name, i, type(value)), function()
          assert.equal(value, halo.await(resolve_with(function()
            return value
          end)))
        end)
      end

      it("2.3.4: nil fulfils: " .. name, function()
        assert.equal(1, select("#", halo.await(resolve_with(function()
          return nil
        end))))
      end)
    end)

    it("2.3.3: a userdata is a thenable, too", function()
      local meta = debug.getmetatable(io.stdout)
      local calls = 0
      meta.__then = function(self, resolve)
        calls = calls + 1
        resolve(self == io.stdout and sentinel or other)
      end
      local ok, v = pcall(halo.await, promise.resolve(io.stdout))
      meta.__then = nil
      assert.is_true(ok)
      assert.equal(sentinel, v)
      assert.equal(1, calls)
    end)

    it("2.3.3: halo.await takes a thenable", function()
      assert.equal(sentinel, halo.await(thenable(function(_, resolve)
        halo.sleep(0.001)
        resolve(sentinel)
      end)))
      local ok, err = pcall(halo.await, thenable(function()
        error(other, 0)
      end))
      assert.is_false(ok)
      assert.equal(other, err)
    end)
  end)
end)

describe("promises:", function()
  describe("new", function()
    it("calls the executor at once", function()
      local called = false
      promise.new(function()
        called = true
      end)
      assert.is_true(called)
    end)

    it("rejects with what the executor raises", function()
      assert.equal(sentinel, reason_of(promise.new(function()
        error(sentinel, 0)
      end)))
    end)

    it("ignores what it raises after resolving", function()
      assert.equal(sentinel, halo.await(promise.new(function(resolve)
        resolve(sentinel)
        error(other, 0)
      end)))
    end)

    it("raises at the caller's line without a function", function()
      local ok, err = pcall(function()
        promise.new(5)
      end)
      assert.is_false(ok)
      assert.is_truthy(err:find("promise_spec.lua:%d+: bad argument #1 to 'new' %(function expected"))
    end)
  end)

  it("with_resolvers gives a promise and what settles it", function()
    local p, resolve, reject = promise.with_resolvers()
    assert.is_true(promise.is_promise(p))
    resolve(1, 2)
    reject(other)
    assert.same({ 1, 2 }, { halo.await(p) })
  end)

  it("resolve gives a promise back as it is", function()
    local p = promise.new(function() end)
    assert.is_true(rawequal(p, promise.resolve(p)))
    local t = halo.spawn(function() end)
    assert.is_true(rawequal(t, promise.resolve(t)))
    halo.await(t)
  end)

  it("reject does not look into its reason", function()
    local p = promise.resolve(1)
    assert.is_true(rawequal(p, reason_of(promise.reject(p))))
    local x = thenable(error)
    assert.is_true(rawequal(x, reason_of(promise.reject(x))))
    assert.is_nil(reason_of(promise.reject()))
  end)

  it("p:await() waits as halo.await does", function()
    assert.same({ 1, nil, 3 }, { promise.resolve(1, nil, 3):await() })
    local p = promise.reject(sentinel)
    local ok, err = pcall(p.await, p)
    assert.is_false(ok)
    assert.equal(sentinel, err)
  end)

  it("tostring tells the state", function()
    local p = promise.reject(1)
    assert.is_truthy(tostring(promise.resolve(1)):find("fulfilled"))
    assert.is_truthy(tostring(p):find("rejected"))
    assert.is_truthy(tostring(promise.new(function() end)):find("pending"))
    reason_of(p)
  end)

  it("misuse raises", function()
    assert.has_error(function()
      halo.await(5)
    end)
    assert.has_error(function()
      halo.await()
    end)
    local p = promise.resolve()
    assert.has_error(function()
      p.next({}, print)
    end)
    for _, name in ipairs({ "all", "all_settled", "any", "race" }) do
      local ok, err = pcall(function()
        promise[name](5)
      end)
      assert.is_false(ok)
      assert.is_truthy(err:find("promise_spec.lua:%d+: bad argument #1 to '" .. name .. "'"), err)
    end
  end)

  describe("hold any number of values:", function()
    local function all_of(...)
      return table.pack(halo.await(...))
    end

    it("none, nil, and nils between others", function()
      assert.same({ n = 0 }, all_of(promise.resolve()))
      assert.same({ n = 1 }, all_of(promise.resolve(nil)))
      assert.same({ n = 4, 1, nil, 3, nil }, all_of(promise.resolve(1, nil, 3, nil)))
      local p, resolve = promise.with_resolvers()
      resolve(nil, "error")
      assert.same({ n = 2, nil, "error" }, all_of(p))
    end)

    it("many", function()
      local many = {}
      for i = 1, 500 do
        many[i] = i
      end
      assert.equal(500, all_of(promise.resolve(table.unpack(many))).n)
      assert.equal(500, all_of(halo.spawn(function(...)
        return ...
      end, table.unpack(many))).n)
    end)

    it("callbacks get and return all", function()
      assert.same({ n = 3, 3, nil, 1 }, all_of(promise.resolve(1, nil, 3):next(function(a, b, c)
        return c, b, a
      end)))
      local counted
      promise.resolve(nil, nil):next(function(...)
        counted = select("#", ...)
      end)
      drain()
      assert.equal(2, counted)
    end)

    it("pass through what ignores them", function()
      assert.same({ n = 3, 1, nil, nil }, all_of(promise.resolve(1, nil, nil):catch(print):next()))
    end)

    it("adoption passes all on", function()
      assert.same({ n = 3, nil, 2, nil }, all_of(promise.resolve():next(function()
        return promise.resolve(nil, 2, nil)
      end)))
      assert.same({ n = 2, nil, 2 }, all_of(thenable(function(_, resolve)
        resolve(nil, 2)
      end)))
    end)

    it("only a single promise is adopted", function()
      local inner = promise.resolve(1)
      local p, resolve = promise.with_resolvers()
      resolve(inner, 2)
      local r = all_of(p)
      assert.equal(2, r.n)
      assert.is_true(rawequal(inner, r[1]))
      r = all_of(promise.resolve():next(function()
        return inner, nil
      end))
      assert.equal(2, r.n)
      assert.is_true(rawequal(inner, r[1]))
    end)

    it("a task's promise result is a value", function()
      local inner = promise.new(function() end)
      local r = all_of(halo.spawn(function()
        return inner
      end))
      assert.equal(1, r.n)
      assert.is_true(rawequal(inner, r[1]))
    end)

    it("await(spawn(f, …)) gives exactly what f(…) does", function()
      local function f(...)
        return ...
      end
      assert.same({ n = 3, nil, "err", nil }, all_of(halo.spawn(f, nil, "err", nil)))
      assert.same({ n = 0 }, all_of(halo.spawn(f)))
    end)

    it("a reason is one", function()
      local p, _, reject = promise.with_resolvers()
      reject(1, 2)
      assert.same({ n = 2, false, 1 }, table.pack(pcall(halo.await, p)))
    end)
  end)

  describe("try", function()
    it("calls at once, with the arguments", function()
      local args
      local p = promise.try(function(...)
        args = table.pack(...)
        return 3, nil
      end, 1, nil)
      assert.same({ n = 2, 1, nil }, args)
      assert.same({ n = 2, 3, nil }, table.pack(halo.await(p)))
    end)

    it("rejects with what is raised", function()
      assert.equal(sentinel, reason_of(promise.try(error, sentinel, 0)))
    end)

    it("adopts a promise", function()
      assert.equal(sentinel, halo.await(promise.try(promise.resolve, sentinel)))
    end)
  end)

  describe("finally", function()
    it("is called without arguments, however it settles", function()
      local called, callback = recorder()
      halo.await(promise.resolve(1, 2):finally(callback))
      reason_of(promise.reject(1):finally(callback))
      assert.equal(2, called.calls)
      assert.equal(0, called.args[1].n)
      assert.equal(0, called.args[2].n)
    end)

    it("passes all values and the reason on", function()
      assert.same({ n = 3, 1, nil, nil }, table.pack(halo.await(promise.resolve(1, nil, nil):finally(function()
        return other
      end))))
      assert.equal(sentinel, reason_of(promise.reject(sentinel):finally(function()
        return other
      end)))
    end)

    it("waits for a promise that it returns", function()
      local order = {}
      local function slow()
        return halo.spawn(function()
          halo.sleep(0.002)
          order[#order + 1] = "slow"
        end)
      end
      assert.equal(sentinel, halo.await(promise.resolve(sentinel):finally(slow)))
      order[#order + 1] = "after"
      assert.equal(sentinel, reason_of(promise.reject(sentinel):finally(slow)))
      assert.same({ "slow", "after", "slow" }, order)
    end)

    it("may itself wait", function()
      local slept = false
      assert.equal(sentinel, halo.await(promise.resolve(sentinel):finally(function()
        halo.sleep(0.001)
        slept = true
      end)))
      assert.is_true(slept)
    end)

    it("its own failure counts", function()
      assert.equal(sentinel, reason_of(promise.resolve(other):finally(function()
        error(sentinel, 0)
      end)))
      assert.equal(sentinel, reason_of(promise.reject(other):finally(function()
        return promise.reject(sentinel)
      end)))
    end)

    it("what is no function is ignored", function()
      assert.equal(sentinel, halo.await(promise.resolve(sentinel):finally(5)))
      assert.equal(sentinel, reason_of(promise.reject(sentinel):finally()))
    end)
  end)

  it("callbacks may wait", function()
    assert.equal(3, halo.await(promise.resolve(1):next(function(v)
      halo.sleep(0.001)
      return v + halo.await(promise.resolve(2))
    end)))
    assert.equal("caught x", halo.await(promise.reject("x"):catch(function(e)
      halo.sleep(0.001)
      return "caught " .. e
    end)))
  end)

  it("chains of thousands", function()
    local p = promise.resolve(0)
    for _ = 1, 10000 do
      p = p:next(function(v)
        return v + 1
      end)
    end
    assert.equal(10000, halo.await(p))
    p = promise.resolve(sentinel)
    for _ = 1, 10000 do
      local inner = p
      p = promise.new(function(resolve)
        resolve(inner)
      end)
    end
    assert.equal(sentinel, halo.await(p))
  end)
end)

describe("combinators:", function()
  local function later(seconds, ...)
    return halo.spawn(function(...)
      halo.sleep(seconds)
      return ...
    end, ...)
  end

  local function fails_later(seconds, reason)
    return halo.spawn(function()
      halo.sleep(seconds)
      error(reason, 0)
    end)
  end

  describe("all", function()
    it("of a list", function()
      assert.same({ 1, 2, 3, 4 }, halo.await(promise.all({
        promise.resolve(1),
        later(0.004, 2),
        3,
        thenable(function(_, resolve)
          resolve(4)
        end),
      })))
    end)

    it("of a table with any keys", function()
      local key = {}
      local r = halo.await(promise.all({ a = later(0.002, 1), [key] = 2, [7] = promise.resolve(3), [1] = "x" }))
      assert.equal(1, r.a)
      assert.equal(2, r[key])
      assert.equal(3, r[7])
      assert.equal("x", r[1])
    end)

    it("of nothing", function()
      assert.same({}, halo.await(promise.all({})))
    end)

    it("keeps the first of several values", function()
      local r = halo.await(promise.all({ promise.resolve(1, 2), promise.resolve(), promise.resolve(nil, 3), 4 }))
      assert.equal(1, r[1])
      assert.is_nil(r[2])
      assert.is_nil(r[3])
      assert.equal(4, r[4])
    end)

    it("rejects as soon as one does; the others go on unharmed", function()
      local slow = later(0.01, "slow")
      assert.equal(sentinel, reason_of(promise.all({ slow, fails_later(0.002, sentinel), fails_later(0.004, other) })))
      assert.equal("pending", slow:status())
      assert.equal("slow", halo.await(slow))
    end)

    it("does not touch the table it was given", function()
      local t = { promise.resolve(1), 2 }
      local first = t[1]
      local r = halo.await(promise.all(t))
      assert.is_true(rawequal(first, t[1]))
      assert.is_false(rawequal(r, t))
    end)
  end)

  describe("all_settled", function()
    it("tells how each settled, with all values", function()
      local r = halo.await(promise.all_settled({
        a = promise.resolve(1, nil, 3),
        b = fails_later(0.002, sentinel),
        c = promise.resolve(),
        5,
      }))
      assert.equal("fulfilled", r.a.status)
      assert.equal(1, r.a.value)
      assert.equal(3, r.a.n)
      assert.same({ 1, nil, 3 }, r.a.values)
      assert.same({ status = "rejected", reason = sentinel }, r.b)
      assert.equal("fulfilled", r.c.status)
      assert.is_nil(r.c.value)
      assert.equal(0, r.c.n)
      assert.same({ status = "fulfilled", value = 5, values = { 5 }, n = 1 }, r[1])
    end)

    it("of nothing", function()
      assert.same({}, halo.await(promise.all_settled({})))
    end)
  end)

  describe("any", function()
    it("takes the first that is fulfilled, with all its values", function()
      assert.same(
        { n = 2, 1, 2 },
        table.pack(halo.await(promise.any({
          promise.reject(other),
          later(0.02, "slow"),
          later(0.002, 1, 2),
        })))
      )
    end)

    it("takes a plain value", function()
      assert.equal(5, halo.await(promise.any({ promise.reject(other), 5 })))
    end)

    it("rejects with all reasons under the same keys", function()
      local err = reason_of(promise.any({ a = promise.reject(1), [3] = fails_later(0.002, 2), promise.reject("x") }))
      assert.is_true(halo.is_error(err))
      assert.same({ a = 1, [3] = 2, "x" }, err.errors)
    end)

    it("of nothing rejects", function()
      local err = reason_of(promise.any({}))
      assert.is_true(halo.is_error(err))
      assert.same({}, err.errors)
    end)
  end)

  describe("race", function()
    it("takes the first that settles", function()
      assert.equal("quick", halo.await(promise.race({ later(0.02, "slow"), later(0.002, "quick") })))
      assert.equal(sentinel, reason_of(promise.race({ later(0.02, "slow"), fails_later(0.002, sentinel) })))
    end)

    it("of a keyed table, with all values", function()
      assert.same({ n = 2, nil, 2 }, table.pack(halo.await(promise.race({ a = promise.resolve(nil, 2) }))))
    end)

    it("of nothing stays pending", function()
      local p = promise.race({})
      drain()
      assert.equal("pending", p:status())
    end)
  end)
end)
