rockspec_format = "3.0"
package = "halo"
version = "scm-1"
source = {
  url = "git+https://example.org/halo.git",
  branch = "main",
}
description = {
  summary = "An async runtime for Lua 5.4 in direct style",
  detailed = [[
    Event loop, tasks, promises, timers, files and network over libuv: calls
    that wait suspend only their task. Works in any stock Lua 5.4, and brings
    the halo command, a drop-in for lua5.4 whose main chunk is a task.
  ]],
  homepage = "https://example.org/halo",
  license = "MIT",
  labels = { "async", "eventloop", "http", "network", "libuv" },
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.4, < 5.5" }
external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
}
build = {
  type = "make",
  build_target = "all",
  install_target = "install",
  variables = {
    BUILD = "build/rock",
    CFLAGS = "$(CFLAGS)",
    WERROR = "",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    INST_BINDIR = "$(BINDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
  },
}
test = { type = "command", command = "make test" }
