/* The halo command: lua5.4 whose main chunk is a task.
 *
 * All that lua.c does with its arguments happens here in the main task, as a
 * chain of steps with a continuation, so that -e, -l, the script and the
 * lines of -i may wait. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "command/modules.h"
#include "command/options.h"
#include "command/state.h"
#include "core/halo.h"

/* What the main task has come to. */
typedef struct command {
  halo_options options;
  enum { AT_INIT, AT_OPTIONS, AT_SCRIPT, AT_LINES, AT_END } step;
  int next;           /* option to be looked at */
  const char *global; /* what -l is to set */
  int code;
} command;

static void print_version(void) {
  puts("Halo " HALO_VERSION "\n" LUA_COPYRIGHT);
  fflush(stdout);
}

/* --- Steps -------------------------------------------------------------------
 * Each pushes what is to be called next, function and arguments, and gives
 * the number of arguments; or NOTHING, or FAILED with the message pushed. */

enum { NOTHING = -1, FAILED = -2 };

static int loaded(int status) { return status == LUA_OK ? 0 : FAILED; }

static int load_string(lua_State *L, const char *text, const char *name) {
  return loaded(luaL_loadbuffer(L, text, strlen(text), name));
}

static int do_init(lua_State *L, command *c) {
  const char *name = "=LUA_INIT_5_4";
  c->step = AT_OPTIONS;
  if (c->options.no_environment) return NOTHING;
  const char *init = getenv(name + 1);
  if (init == NULL) init = getenv((name = "=LUA_INIT") + 1);
  if (init == NULL) return NOTHING;
  if (init[0] == '@') return loaded(luaL_loadfile(L, init + 1));
  return load_string(L, init, name);
}

/* -l mod, -l global=mod; the global's name stays below the call */
static int do_library(lua_State *L, command *c, const char *what) {
  const char *equals = strchr(what, '=');
  size_t size = equals == NULL ? strlen(what) : (size_t)(equals - what);
  lua_pushlstring(L, what, size);
  c->global = lua_tostring(L, -1);
  lua_getglobal(L, "require");
  lua_pushstring(L, equals == NULL ? what : equals + 1);
  return 1;
}

static int do_option(lua_State *L, command *c) {
  const char *arg =
      c->next < c->options.script ? c->options.argv[c->next] : NULL;
  if (arg == NULL) {
    c->step = AT_SCRIPT;
    return NOTHING;
  }
  c->next++;
  if (arg[1] == 'W') lua_warning(L, "@on", 0);
  if (arg[1] != 'e' && arg[1] != 'l') return NOTHING;
  const char *value = arg + 2;
  if (*value == '\0') value = c->options.argv[c->next++];
  if (arg[1] == 'l') return do_library(L, c, value);
  return load_string(L, value, "=(command line)");
}

/* Pushes arg[1], arg[2] …; gives their number. */
static int push_arguments(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE)
    luaL_error(L, "'arg' is not a table");
  int n = (int)luaL_len(L, -1);
  luaL_checkstack(L, n + 3, "too many arguments to script");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, -i, i);
  lua_remove(L, -n - 1);
  return n;
}

static int do_script(lua_State *L, command *c) {
  const halo_options *o = &c->options;
  c->step = AT_LINES;
  if (o->script >= o->argc) return NOTHING;
  if (o->test) {
    halo_module_load(L, "halo.command.test");
    return 0;
  }
  const char *name = o->argv[o->script];
  if (strcmp(name, "-") == 0 && strcmp(o->argv[o->script - 1], "--") != 0)
    name = NULL;
  if (luaL_loadfile(L, name) != LUA_OK) return FAILED;
  return push_arguments(L);
}

static int do_lines(lua_State *L, command *c) {
  const halo_options *o = &c->options;
  bool interactive = o->interactive;
  c->step = AT_END;
  if (!interactive) {
    if (o->script < o->argc || o->executes || o->version) return NOTHING;
    if (!isatty(STDIN_FILENO)) return loaded(luaL_loadfile(L, NULL));
    print_version();
  }
  halo_module_load(L, "halo.command.repl");
  halo_repl_open(L);
  return 1;
}

/* Ends the process with 1 as an error of lua5.4's does, with no traceback: a
 * chunk that cannot be loaded. Its message is on top. */
static int stopped(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

static int fail(lua_State *L, command *c) {
  fflush(stdout);
  fprintf(stderr, "%s: %s\n", c->options.progname, lua_tostring(L, -1));
  fflush(stderr);
  c->code = EXIT_FAILURE;
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, "halo.exit");
  lua_pushinteger(L, EXIT_FAILURE);
  lua_pushboolean(L, 1);
  lua_callk(L, 2, 0, 0, stopped);
  return 0;
}

/* The main task's body. */
static int go_on(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  command *c = (command *)ctx;
  for (;;) {
    if (c->global != NULL) {
      lua_setglobal(L, c->global);
      c->global = NULL;
    }
    lua_settop(L, 0);
    int n = NOTHING;
    switch (c->step) {
    case AT_INIT:
      n = do_init(L, c);
      break;
    case AT_OPTIONS:
      n = do_option(L, c);
      break;
    case AT_SCRIPT:
      n = do_script(L, c);
      break;
    case AT_LINES:
      n = do_lines(L, c);
      break;
    case AT_END:
      if (!c->options.why_alive) return 0;
      c->options.why_alive = false;
      halo_module_load(L, "halo.command.why_alive");
      n = 0;
      break;
    }
    if (n == FAILED) return fail(L, c);
    if (n != NOTHING) lua_callk(L, n, c->global != NULL, ctx, go_on);
  }
}

static int body(lua_State *L) {
  lua_KContext c = (lua_KContext)lua_touserdata(L, 1);
  return go_on(L, LUA_OK, c);
}

/* --- Setting up --------------------------------------------------------------- */

static void set_arguments(lua_State *L, const halo_options *o) {
  int script = o->script == o->argc ? 0 : o->script;
  lua_createtable(L, o->argc - (script + 1), script + 1);
  for (int i = 0; i < o->argc; i++) {
    lua_pushstring(L, o->argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static void set_up(lua_State *L, const halo_options *o) {
  luaL_checkversion(L);
  if (o->no_environment) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  set_arguments(L, o);
  lua_gc(L, LUA_GCRESTART);
  lua_gc(L, LUA_GCINC, 250, 0, 0); /* a cycle when the heap has grown 2.5 x */
  halo_modules_open(L);
  halo_install_coroutine(L);
  halo_install_exit(L);
  if (o->watched >= 0) halo_watched_open(L, o->watched);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "halo.internal.require");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "install");
  lua_call(L, 0, 0);
  lua_pushstring(L, o->progname);
  lua_setfield(L, LUA_REGISTRYINDEX, "halo.progname");
  lua_getglobal(L, LUA_OSLIBNAME);
  lua_getfield(L, -1, "exit");
  lua_setfield(L, LUA_REGISTRYINDEX, "halo.exit");
  lua_settop(L, 1);
}

/* Runs the command at 1. */
static int protected_main(lua_State *L) {
  command *c = lua_touserdata(L, 1);
  set_up(L, &c->options);
  lua_pushcfunction(L, body);
  lua_pushvalue(L, 1);
  int code = halo_main(L, 1);
  if (c->code == EXIT_SUCCESS) c->code = code;
  return 0;
}

int main(int argc, char **argv) {
  command c = {.next = 1};
  halo_options_read(&c.options, argc, argv);
  if (c.options.bad != NULL || c.options.help) {
    halo_options_usage(&c.options);
    return c.options.bad != NULL ? EXIT_FAILURE : EXIT_SUCCESS;
  }
  if (c.options.watch) return halo_watch(&c.options);
  if (c.options.version) print_version();
  halo_state state;
  lua_State *L = halo_state_new(&state);
  if (L == NULL) {
    fprintf(stderr, "%s: cannot create state: not enough memory\n",
            c.options.progname);
    return EXIT_FAILURE;
  }
  lua_gc(L, LUA_GCSTOP); /* nothing to collect while we set up */
  lua_pushcfunction(L, protected_main);
  lua_pushlightuserdata(L, &c);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s: %s\n", c.options.progname, lua_tostring(L, -1));
    c.code = EXIT_FAILURE;
  }
  halo_state_close(&state, L);
  halo_exit(c.code);
}
