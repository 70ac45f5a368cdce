local fs = require "halo.fs"
local halo = require "halo"
local promise = require "halo.promise"
local support = require "spec.support"

local here = debug.getinfo(1, "S").short_src

-- Calls fn, which must raise at its own line, and gives the message.
local function misuse(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  local place, text = tostring(message):match("^(.-):%d+: (.*)$")
  assert.are.equal(here, place, message)
  return text
end

-- A directory with a file, a link to it, a link to nothing and a directory.
local root
setup(function()
  root = os.tmpname()
  os.remove(root)
  assert(os.execute("mkdir -p " .. support.quote(root .. "/dir")))
  support.write(root .. "/file", "some text\n")
  support.write(root .. "/empty", "")
  assert(os.execute(("cd %s && ln -s file link && ln -s absent dangling && chmod 640 file")
    :format(support.quote(root))))
end)
teardown(function() os.execute("rm -r " .. support.quote(root)) end)

local function fails(code, syscall, path, fn)
  local result, err = fn(path)
  assert.is_nil(result)
  assert.is_true(halo.is_error(err, code))
  assert.are.equal(syscall, err.syscall)
  assert.are.equal(path, err.path)
  assert.is_true(err.errno > 0)
  assert.matches("^" .. code .. ": .+, " .. syscall .. " '", tostring(err))
  assert.matches("'" .. path .. "'", tostring(err), 1, true)
end

describe("fs.read_file", function()
  it("gives what the file holds", function()
    assert.are.equal("some text\n", fs.read_file(root .. "/file"))
    assert.are.equal("some text\n", fs.read_file(root .. "/link"))
    assert.are.equal("", fs.read_file(root .. "/empty"))
  end)

  it("keeps every byte", function()
    local path = root .. "/bytes"
    local data = {}
    for i = 0, 255 do data[i + 1] = string.char(i) end
    local text = table.concat(data):rep(1000)
    support.write(path, text)
    assert.is_true(text == fs.read_file(path))
  end)

  it("reads files that do not tell their size", function()
    local text = fs.read_file("/proc/self/maps")
    if not text then return end -- not on Linux
    assert.is_true(#text > 4096)
    assert.are.equal(0, fs.stat("/proc/self/maps").size)
  end)

  it("gives an error for what is not there, a directory, a loop", function()
    fails("ENOENT", "open", root .. "/absent", fs.read_file)
    fails("ENOENT", "open", root .. "/dangling", fs.read_file)
    fails("ENOENT", "open", "", fs.read_file)
    fails("EISDIR", "read", root .. "/dir", fs.read_file)
    fails("ENOTDIR", "open", root .. "/file/x", fs.read_file)
    fails("ENAMETOOLONG", "open", root .. "/" .. ("x"):rep(300), fs.read_file)
  end)

  it("reads many at once, each by its own task", function()
    local tasks = {}
    for i = 1, 200 do
      tasks[i] = halo.spawn(fs.read_file, root .. (i % 2 == 0 and "/file" or "/absent"))
    end
    local results = halo.await(promise.all_settled(tasks))
    for i, result in ipairs(results) do
      if i % 2 == 0 then
        assert.are.equal("some text\n", result.value)
      else
        assert.are.equal("ENOENT", result.values[2].code)
      end
    end
  end)

  it("ends with ECANCELED when its task is cancelled", function()
    local tasks = {}
    for i = 1, 50 do tasks[i] = halo.spawn(fs.read_file, root .. "/file") end
    halo.await(halo.spawn(function() -- all of them wait now
      for _, task in ipairs(tasks) do task:cancel() end
    end))
    for _, task in ipairs(tasks) do
      local ok, err = pcall(halo.await, task)
      assert.is_false(ok)
      assert.are.equal("ECANCELED", err.code)
    end
    assert.are.equal("some text\n", fs.read_file(root .. "/file"))
  end)
end)

describe("fs.stat", function()
  it("tells size, type, times and the rest", function()
    local before = os.time() - 60
    local stat = assert(fs.stat(root .. "/file"))
    assert.are.equal(10, stat.size)
    assert.are.equal("file", stat.type)
    assert.are.equal(tonumber("640", 8), stat.mode)
    assert.are.equal(1, stat.nlink)
    for _, name in ipairs { "size", "mode", "ino", "dev", "nlink", "uid", "gid", "blksize", "blocks" } do
      assert.are.equal("integer", math.type(stat[name]), name)
    end
    for _, name in ipairs { "atime", "mtime", "ctime" } do
      assert.are.equal("float", math.type(stat[name]), name)
      assert.is_true(stat[name] >= before and stat[name] <= os.time() + 60, name)
    end
  end)

  it("knows the kinds of what there is", function()
    local kinds = {
      [root .. "/file"] = "file",
      [root .. "/dir"] = "directory",
      ["/dev/null"] = "character device",
    }
    for path, kind in pairs(kinds) do
      local stat = assert(fs.stat(path))
      assert.are.equal(kind, stat.type)
      assert.are.equal(kind == "file", stat:is_file())
      assert.are.equal(kind == "directory", stat:is_directory())
      assert.is_false(stat:is_link())
    end
  end)

  it("follows links, and lstat does not", function()
    assert.are.equal("file", fs.stat(root .. "/link").type)
    local link = assert(fs.lstat(root .. "/link"))
    assert.are.equal("link", link.type)
    assert.is_true(link:is_link())
    assert.is_false(link:is_file())
    assert.are.equal(#"file", link.size)
    assert.are.equal("link", fs.lstat(root .. "/dangling").type)
    assert.are.equal("file", fs.lstat(root .. "/file").type)
  end)

  it("gives an error for what is not there", function()
    fails("ENOENT", "stat", root .. "/absent", fs.stat)
    fails("ENOENT", "stat", root .. "/dangling", fs.stat)
    fails("ENOENT", "lstat", root .. "/absent", fs.lstat)
    fails("ENOTDIR", "stat", root .. "/file/x", fs.stat)
  end)
end)

describe("a path", function()
  for _, name in ipairs { "read_file", "stat", "lstat" } do
    it("is checked at the caller's line by " .. name, function()
      local fn = fs[name]
      assert.matches("bad argument #1 to 'fn' %(string expected", misuse(function() local _ = fn() end))
      assert.matches("string expected, got table", misuse(function() local _ = fn({}) end))
      assert.matches("NUL", misuse(function() local _ = fn("a\0b") end))
    end)
  end
end)
