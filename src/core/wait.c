/* Waits: how a task is suspended and woken. */
#include <string.h>

#include "core/state.h"

/* --- Where waiting is impossible ----------------------------------------------- */

/* Functions through which a wait passes: they are not the obstacle. */
static bool passes(const char *name) {
  static const char *const names[] = {"_G.pcall",       "_G.xpcall",
                                      "_G.dofile",      "coroutine.resume",
                                      "coroutine.wrap", NULL};
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

/* Leaves "library.name" in the place of the function on top, if the library,
 * whose name and table are above it, has it.                    [-2, +0, m] */
static bool name_in(lua_State *L) {
  int top = lua_gettop(L) - 2;
  lua_pushnil(L);
  while (lua_istable(L, top + 2) && lua_next(L, top + 2)) {
    if (lua_rawequal(L, -1, top) && lua_type(L, -2) == LUA_TSTRING) {
      lua_pushfstring(L, "%s.%s", lua_tostring(L, top + 1),
                      lua_tostring(L, -2));
      lua_replace(L, top);
      lua_settop(L, top);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return false;
}

/* Pushes the name under which the function on top is found in the loaded
 * libraries, Lua's own first, in its place; tells whether it is.[-1, +1, m] */
static bool name_function(lua_State *L) {
  static const char *const own[] = {"_G",    "string",  "table", "coroutine",
                                    "io",    "os",      "math",  "utf8",
                                    "debug", "package", NULL};
  int top = lua_gettop(L);
  for (int i = 0; own[i] != NULL; i++) {
    lua_pushstring(L, own[i]);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, own[i]);
    lua_remove(L, -2);
    if (name_in(L)) return true;
  }
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, top + 1)) { /* library, table */
    if (lua_type(L, -2) == LUA_TSTRING) {
      lua_pushvalue(L, top);
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -3);
      if (name_in(L)) {
        lua_replace(L, top);
        lua_settop(L, top);
        return true;
      }
      lua_pop(L, 1); /* the function's copy */
    }
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return false;
}

enum { MOST_LEVELS = 100 }; /* of the stack, looked at for an obstacle */

bool halo_in_finalizer(lua_State *L) {
  lua_Debug ar;
  for (int level = 0; level < MOST_LEVELS && lua_getstack(L, level, &ar);
       level++) {
    lua_getinfo(L, "n", &ar);
    if (ar.name != NULL && strcmp(ar.name, "__gc") == 0 &&
        strcmp(ar.namewhat, "metamethod") == 0)
      return true;
  }
  return false;
}

int halo_cannot_wait(lua_State *L, lua_State *where) {
  lua_Debug ar;
  luaL_checkstack(L, 12, NULL);
  if (halo_rt(L)->in_close)
    return luaL_error(L, "cannot wait inside coroutine.close");
  for (int level = where == L ? 1 : 0;
       level < MOST_LEVELS && lua_getstack(where, level, &ar); level++) {
    lua_getinfo(where, "Sn", &ar);
    if (ar.name != NULL && strcmp(ar.name, "__gc") == 0)
      return luaL_error(L, "cannot wait inside __gc");
    if (*ar.what != 'C') continue;
    lua_getinfo(where, "f", &ar);
    if (where != L) lua_xmove(where, L, 1);
    if (name_function(L)) {
      const char *name = lua_tostring(L, -1);
      if (!passes(name)) {
        if (strncmp(name, "_G.", 3) == 0) name += 3;
        return luaL_error(L, "cannot wait inside %s (a C function)", name);
      }
    } else if (ar.name != NULL)
      return luaL_error(L, "cannot wait inside '%s' (a C function)", ar.name);
    lua_pop(L, 1);
  }
  if (where == L && halo_rt(L)->current != NULL && L != halo_rt(L)->running)
    return luaL_error(L, "cannot wait inside a plain coroutine "
                         "(halo.install{coroutine=true} makes it possible)");
  return luaL_error(L, "cannot wait inside a C function");
}

void halo_wait_check(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  if (L != rt->running || !lua_isyieldable(L)) halo_cannot_wait(L, L);
  if (t->pinned != NULL) halo_cannot_wait(L, t->pinned);
  if (t->cancelled || t->frames != NULL) {
    bool whole;
    if (halo_cancelled(t, &whole) != NULL || whole) {
      halo_push_canceled(L, t);
      lua_error(L);
    }
  }
}

/* --- Suspending ----------------------------------------------------------------- */

int halo_waited(lua_State *L, int status, lua_KContext top) {
  (void)status;
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  if (L != rt->running) { /* resumed by a script: that ends no wait */
    lua_settop(L, (int)top);
    return lua_yieldk(L, 0, top, halo_waited);
  }
  if (t->failing) {
    t->failing = false;
    return lua_error(L);
  }
  return lua_gettop(L) - (int)top;
}

static void suspend(lua_State *L, halo_wait *w) {
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  w->task = t;
  t->wait = w;
  t->at = L;
  t->nvalues = 0;
  t->state = TASK_WAITING;
  t->own.created_at = rt->loop_open ? uv_now(rt->loop) * 1000000 : uv_hrtime();
}

int halo_wait_start(lua_State *L, halo_wait *w) {
  suspend(L, w);
  return lua_yieldk(L, 0, lua_gettop(L), halo_waited);
}

typedef int continuation(lua_State *L, int n, lua_KContext ctx);

/* The continuation's own is kept on the stack below what the wait gives:
 * its function, its context and the height. */
static int waitedk(lua_State *L, int status, lua_KContext top) {
  if (L != halo_rt(L)->running) {
    lua_settop(L, (int)top);
    return lua_yieldk(L, 0, top, waitedk);
  }
  int n = halo_waited(L, status, top);
  continuation *k;
  memcpy(&k, lua_touserdata(L, (int)top - 1), sizeof k);
  lua_KContext ctx = (lua_KContext)lua_tointeger(L, (int)top);
  lua_rotate(L, (int)top - 1, -2);
  lua_pop(L, 2);
  return k(L, n, ctx);
}

int halo_wait_startk(lua_State *L, halo_wait *w, lua_KContext ctx,
                     continuation *k) {
  suspend(L, w);
  luaL_checkstack(L, 4, NULL);
  memcpy(lua_newuserdatauv(L, sizeof k, 0), &k, sizeof k);
  lua_pushinteger(L, (lua_Integer)ctx);
  return lua_yieldk(L, 0, lua_gettop(L), waitedk);
}

/* --- Waking ---------------------------------------------------------------------- */

/* Gives the 'n' values on top of scratch to the task that waits for 'w'. */
static void give(halo_runtime *rt, halo_wait *w, int n, bool failing) {
  lua_State *S = rt->scratch;
  halo_task *t = w->task;
  if (t == NULL) {
    lua_pop(S, n);
    return;
  }
  w->task = NULL;
  t->wait = NULL;
  if (!lua_checkstack(t->at, n + 10)) {
    lua_pop(S, n);
    lua_pushliteral(S, "stack overflow (too many results)");
    n = 1;
    failing = true;
  }
  lua_xmove(S, t->at, n);
  t->nvalues = n;
  t->failing = failing;
  halo_task_ready(rt, t);
}

void halo_wait_finish(halo_runtime *rt, halo_wait *w, int n) {
  give(rt, w, n, false);
}

void halo_wait_fail(halo_runtime *rt, halo_wait *w) { give(rt, w, 1, true); }

/* --- Answers that are there at once -------------------------------------------------- */

enum { TURNS = 128 }; /* waits answered at once before the others' turn */

bool halo_wait_at_once(halo_runtime *rt) { return ++rt->turns < TURNS; }

static halo_task *task_of(halo_wait *w) {
  return (halo_task *)((char *)w - offsetof(halo_task, own.wait));
}

static void yield_cancel(halo_wait *w) {
  halo_task *t = task_of(w);
  halo_immediate_remove(t->rt, &t->own.node);
}

/* 'n' of the values below, whose number is 'height', are the results. */
static int turned(lua_State *L, int status, lua_KContext ctx) {
  int height = (int)(ctx >> 16), n = (int)(ctx & 0xffff);
  if (L != halo_rt(L)->running) {
    lua_settop(L, height);
    return lua_yieldk(L, 0, ctx, turned);
  }
  halo_waited(L, status, lua_gettop(L));
  return n;
}

int halo_wait_turn(lua_State *L, int n) {
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  /* What is there already is not lost by a cancel: that comes at the next
   * wait. */
  t->own.wait =
      (halo_wait){.cancel = n == 0 ? yield_cancel : NULL, .what = "yield"};
  t->own.node = (halo_timer){.kind = HALO_TIMER_YIELD};
  halo_immediate_add(rt, &t->own.node);
  suspend(L, &t->own.wait);
  return lua_yieldk(L, 0, ((lua_KContext)lua_gettop(L) << 16) | n, turned);
}

/* halo.yield()                                                            (waits)
 * Lets everything else that is ready run first, one poll included. */
static int yield(lua_State *L) {
  HALO_WAITS(L);
  return halo_wait_turn(L, 0);
}

static void sleep_cancel(halo_wait *w) {
  halo_task *t = task_of(w);
  halo_timer_remove(t->rt, &t->own.node);
}

/* halo.sleep(seconds)                                                     (waits) */
static int sleep_task(lua_State *L) {
  uint64_t ms = halo_check_ms(L, 1);
  HALO_WAITS(L);
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  t->own.wait = (halo_wait){.cancel = sleep_cancel, .what = "sleep"};
  t->own.node = (halo_timer){.kind = HALO_TIMER_SLEEP};
  halo_timer_insert(rt, &t->own.node, ms);
  return halo_wait_start(L, &t->own.wait);
}

/* --- Waiters: the wait that Lua modules build on -------------------------------------- */

typedef struct waiter {
  const halo_class *class;
  halo_wait wait;
  bool used;
} waiter;
static const halo_class waiter_class;

static void waiter_cancel(halo_wait *w) { (void)w; }

/* core.waiter([what]) -> waiter */
static int waiter_new(lua_State *L) {
  static const char *const names[] = {
      "wait",   "channel send", "channel receive", "semaphore", "mutex",
      "event",  "condition",    "events",          "scope",     "signal",
      "module", "accept",       "connect",         "timer",     NULL};
  const char *what = names[luaL_checkoption(L, 1, "wait", names)];
  waiter *w = halo_object_new(L, &waiter_class, sizeof *w, 0);
  w->wait.cancel = waiter_cancel;
  w->wait.what = what;
  return 1;
}

/* waiter:park() -> what wake was given                                    (waits) */
static int waiter_park(lua_State *L) {
  waiter *w = halo_object_check(L, 1, &waiter_class);
  lua_settop(L, 1);
  HALO_WAITS(L);
  if (w->wait.task != NULL) return luaL_error(L, "waiter is in use");
  return halo_wait_start(L, &w->wait);
}

/* waiter:wake(...) -> boolean: false if nobody is parked (any more) */
static int waiter_wake(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  waiter *w = halo_object_check(L, 1, &waiter_class);
  int n = lua_gettop(L) - 1;
  bool parked = w->wait.task != NULL && !rt->closing;
  if (parked) {
    if (!lua_checkstack(rt->scratch, n + 10))
      return luaL_error(L, "too many values");
    lua_xmove(L, rt->scratch, n);
    halo_wait_finish(rt, &w->wait, n);
  }
  lua_pushboolean(L, parked);
  return 1;
}

/* waiter:parked() -> boolean */
static int waiter_parked(lua_State *L) {
  waiter *w = halo_object_check(L, 1, &waiter_class);
  lua_pushboolean(L, w->wait.task != NULL);
  return 1;
}

static const luaL_Reg waiter_methods[] = {{"park", waiter_park},
                                          {"wake", waiter_wake},
                                          {"parked", waiter_parked},
                                          {NULL, NULL}};
static const halo_class waiter_class = {"halo.waiter", NULL, waiter_methods,
                                        NULL};

int halo_open_wait(lua_State *L) {
  static const luaL_Reg funcs[] = {{"yield", yield},
                                   {"sleep", sleep_task},
                                   {"waiter", waiter_new},
                                   {NULL, NULL}};
  halo_class_register(L, &waiter_class);
  halo_setfuncs(L, funcs);
  return 0;
}
