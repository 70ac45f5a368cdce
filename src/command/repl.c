/* The interactive mode's terminal: lines read through the loop, so that
 * timers run while the user thinks, and Ctrl-C that stops a line. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "core/halo.h"

/* --- Lines --------------------------------------------------------------------- */

typedef struct input {
  halo_wait wait;
  halo_runtime *rt;
  uv_poll_t poll;
  halo_resource resource;
  char *line;
  size_t size, room;
} input;

static void free_input(uv_handle_t *handle) {
  input *in = handle->data;
  free(in->line);
  free(in);
}

static void end_input(input *in) {
  halo_resource_remove(&in->resource);
  uv_close((uv_handle_t *)&in->poll, free_input);
}

static void cancel_input(halo_wait *w) { end_input((input *)w); }

static void close_input(halo_resource *r) {
  end_input((input *)((char *)r - offsetof(input, resource)));
}

/* Takes what is there, byte by byte: what follows the line is left to
 * io.read. True when the line, or the input, has ended. */
static bool take_line(input *in, bool blocking) {
  struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
  char c = '\0';
  while (blocking || poll(&ready, 1, 0) > 0) {
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return true;
    if (in->size == in->room) {
      size_t room = in->room == 0 ? 128 : in->room * 2;
      char *line = realloc(in->line, room);
      if (line == NULL) return true;
      in->line = line;
      in->room = room;
    }
    in->line[in->size++] = c;
    if (c == '\n') return true;
  }
  return false;
}

/* Pushes the line without its newline; nil at the end. */
static int push_line(lua_State *L) {
  const input *in = lua_touserdata(L, 1);
  if (in->size == 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, in->line, in->size - (in->line[in->size - 1] == '\n'));
  return 1;
}

static void on_input(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  input *in = poll->data;
  halo_runtime *rt = in->rt;
  if (!take_line(in, false)) return;
  int n = halo_protect(rt, push_line, in);
  halo_wait_finish(rt, &in->wait, n);
  end_input(in);
  halo_drain(rt);
}

/* read_line(prompt) -> string|nil                                      (waits) */
static int repl_read_line(lua_State *L) {
  const char *prompt = luaL_checkstring(L, 1);
  HALO_WAITS(L);
  fputs(prompt, stdout);
  fflush(stdout);
  input *in = calloc(1, sizeof *in);
  if (in == NULL) return luaL_error(L, "not enough memory");
  in->rt = halo_rt(L);
  in->wait = (halo_wait){.cancel = cancel_input, .what = "standard input"};
  in->poll.data = in;
  int rc = uv_poll_init(halo_loop(in->rt), &in->poll, STDIN_FILENO);
  if (rc < 0) { /* a file: it never blocks for long */
    take_line(in, true);
    lua_pushcfunction(L, push_line);
    lua_pushlightuserdata(L, in);
    lua_call(L, 1, 1);
    free(in->line);
    free(in);
    return 1;
  }
  /* libuv has made it non-blocking, for every process that shares it */
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) & ~O_NONBLOCK);
  halo_resource_add(in->rt, &in->resource, "standard input", close_input);
  uv_poll_start(&in->poll, UV_READABLE, on_input);
  return halo_wait_start(L, &in->wait);
}

/* --- Ctrl-C --------------------------------------------------------------------------
 * A line that computes is stopped by a hook, as in lua5.4; one that waits, by
 * 'interrupt', which the loop calls. */

static lua_State *volatile line; /* the coroutine of the line that runs */
static struct {
  halo_runtime *rt;
  uv_async_t async;
  halo_resource resource;
  int slot; /* the function to be called */
} interrupt;

static void raise_interrupted(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

static void on_signal(int sig) {
  lua_State *L = line;
  if (L == NULL) { /* nothing runs: it ends us */
    signal(sig, SIG_DFL);
    raise(sig);
    return;
  }
  lua_sethook(L, raise_interrupted,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  uv_async_send(&interrupt.async);
}

static void on_interrupt(uv_async_t *async) {
  (void)async;
  halo_runtime *rt = interrupt.rt;
  if (line == NULL) return;
  halo_anchor_push(halo_scratch(rt), rt, interrupt.slot);
  halo_callback(rt, 0, NULL, NULL, NULL, NULL);
  halo_drain(rt);
}

static void close_interrupt(halo_resource *r) {
  halo_resource_remove(r);
  signal(SIGINT, SIG_DFL);
  uv_close((uv_handle_t *)&interrupt.async, NULL);
}

/* on_interrupt(fn): fn is called when Ctrl-C stops a line */
static int repl_on_interrupt(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  interrupt.rt = halo_rt(L);
  lua_settop(L, 1);
  interrupt.slot = halo_anchor(L, interrupt.rt);
  uv_async_init(halo_loop(interrupt.rt), &interrupt.async, on_interrupt);
  uv_unref((uv_handle_t *)&interrupt.async);
  interrupt.resource.unref = true;
  halo_resource_add(interrupt.rt, &interrupt.resource, "interrupt",
                    close_interrupt);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  return 0;
}

static int line_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  line = NULL;
  return lua_gettop(L);
}

/* run(fn) -> fn's results: as a line that Ctrl-C stops. After an error the
 * caller says forget().                                                (waits) */
static int repl_run(lua_State *L) {
  line = L;
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, line_ended);
  return line_ended(L, LUA_OK, 0);
}

static int repl_forget(lua_State *L) {
  if (line != NULL) lua_sethook(L, NULL, 0, 0);
  line = NULL;
  return 0;
}

/* is_terminal() -> boolean */
static int repl_is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty(STDIN_FILENO));
  return 1;
}

void halo_repl_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"read_line", repl_read_line},
                                       {"on_interrupt", repl_on_interrupt},
                                       {"run", repl_run},
                                       {"forget", repl_forget},
                                       {"is_terminal", repl_is_terminal},
                                       {NULL, NULL}};
  setvbuf(stdin, NULL, _IONBF, 0); /* io.read takes what we leave, no more */
  luaL_newlibtable(L, functions);
  halo_setfuncs(L, functions);
}
