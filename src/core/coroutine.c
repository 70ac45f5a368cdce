/* User coroutines: resume and wrap through which a wait passes outwards to
 * the task, and its answer back inwards. For any other yield they do just
 * what lcorolib.c's do.
 *
 * Upvalue 1 is the runtime, upvalue 2 the table of coroutines that cannot be
 * resumed by a script: those of tasks, and those that wait (true), and of the
 * frames that suspended coroutines took with them (light userdata). */
#include <lualib.h>

#include "core/state.h"

#define BUSY lua_upvalueindex(2)

/* Does the table of the busy name the coroutine at 'index'? */
static bool is_busy(lua_State *L, int index) {
  lua_pushvalue(L, index);
  int type = lua_rawget(L, BUSY);
  lua_pop(L, 1);
  return type == LUA_TBOOLEAN;
}

static void set_busy(lua_State *L, lua_State *co, bool busy) {
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  if (busy)
    lua_pushboolean(L, 1);
  else
    lua_pushnil(L);
  lua_rawset(L, BUSY);
}

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* --- Resuming ------------------------------------------------------------------- */

/* Runs 'co' with the 'n' values on its stack. Gives the number of results,
 * moved to L; -1 with the error on L; or WAITS when a wait passes. */
enum { FAILED = -1, WAITS = -2 };

static int step(lua_State *L, lua_State *co, int n, halo_frame *base) {
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  lua_State *running = rt->running;
  bool pins = false;
  int nresults;
  if (t != NULL && L == running) {
    if (!lua_isyieldable(L) && t->pinned == NULL) {
      t->pinned = L;
      pins = true;
    }
    rt->running = co;
    if (rt->nbusy > 0) halo_frames_resume(L, t, co);
  }
  int status = lua_resume(co, L, n, &nresults);
  rt->running = running;
  if (pins) t->pinned = NULL;
  if (status == LUA_YIELD && t != NULL && t->state == TASK_WAITING)
    return WAITS;
  if (t != NULL && t->frames != base && L == running) {
    if (status == LUA_YIELD)
      halo_frames_suspend(L, t, base, co);
    else
      t->frames = base;
  }
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, nresults + 1)) {
      lua_pop(co, nresults);
      lua_pushliteral(L, "too many results to resume");
      return FAILED;
    }
    lua_xmove(co, L, nresults);
    return nresults;
  }
  lua_xmove(co, L, 1);
  return FAILED;
}

/* The first step, with the 'n' arguments on top of L. */
static int start(lua_State *L, lua_State *co, int index, int n,
                 halo_frame *base) {
  if (!lua_checkstack(co, n)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  if (is_busy(L, index)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return FAILED;
  }
  lua_xmove(L, co, n);
  return step(L, co, n, base);
}

static halo_frame *frames_here(lua_State *L) {
  halo_task *t = halo_rt(L)->current;
  return t == NULL ? NULL : t->frames;
}

/* After a wait: the coroutine goes on with what the wait gave, if it is the
 * one that waited; else with nothing, and passes it on inwards itself. */
static int go_on(lua_State *L, lua_State *co, halo_frame *base) {
  halo_task *t = halo_rt(L)->current;
  set_busy(L, co, false);
  return step(L, co, t->at == co ? t->nvalues : 0, base);
}

static int resume_ended(lua_State *L, int n, halo_frame *base);

/* Stack: 1 the coroutine, 2 the frames as they were. */
static int resume_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  halo_frame *base = lua_touserdata(L, 2);
  return resume_ended(L, go_on(L, lua_tothread(L, 1), base), base);
}

static int resume_ended(lua_State *L, int n, halo_frame *base) {
  if (n == WAITS) {
    lua_settop(L, 1);
    set_busy(L, lua_tothread(L, 1), true);
    lua_pushlightuserdata(L, base);
    return lua_yieldk(L, 0, 0, resume_k);
  }
  lua_pushboolean(L, n != FAILED);
  int results = n == FAILED ? 1 : n;
  lua_insert(L, -(results + 1));
  return results + 1;
}

/* coroutine.resume(co, ...) */
static int co_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  halo_frame *base = frames_here(L);
  int n = start(L, co, 1, lua_gettop(L) - 1, base);
  return resume_ended(L, n, base);
}

/* --- Wrapping: upvalue 3 is the coroutine ---------------------------------------- */

static int reset(lua_State *co, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

static int wrap_failed(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = reset(co, L);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap_ended(lua_State *L, int n, halo_frame *base);

/* Stack: 1 the frames as they were. */
static int wrap_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lua_State *co = lua_tothread(L, lua_upvalueindex(3));
  halo_frame *base = lua_touserdata(L, 1);
  return wrap_ended(L, go_on(L, co, base), base);
}

static int wrap_ended(lua_State *L, int n, halo_frame *base) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(3));
  if (n == WAITS) {
    lua_settop(L, 0);
    set_busy(L, co, true);
    lua_pushlightuserdata(L, base);
    return lua_yieldk(L, 0, 0, wrap_k);
  }
  if (n == FAILED) return wrap_failed(L, co);
  return n;
}

static int call_wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(3));
  halo_frame *base = frames_here(L);
  int n = start(L, co, lua_upvalueindex(3), lua_gettop(L), base);
  return wrap_ended(L, n, base);
}

/* coroutine.wrap(fn) */
static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, BUSY);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, call_wrapped, 3);
  return 1;
}

/* --- The rest of the library ---------------------------------------------------------- */

/* The body of a task is to its script what the main thread is in stock Lua. */
static bool in_body(lua_State *L) {
  halo_task *t = halo_rt(L)->current;
  return t != NULL && t->co == L;
}

/* coroutine.yield(...) */
static int co_yield (lua_State *L) {
  if (in_body(L)) { /* without a position, as lua_yield's own */
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
    return lua_error(L);
  }
  return lua_yield(L, lua_gettop(L));
}

/* coroutine.running() */
static int co_running(lua_State *L) {
  int main = lua_pushthread(L);
  lua_pushboolean(L, main || in_body(L));
  return 2;
}

/* coroutine.isyieldable([co]) */
static int co_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  halo_task *t = halo_rt(L)->current;
  lua_pushboolean(L, lua_isyieldable(co) && !(t != NULL && t->co == co));
  return 1;
}

static const char *status_of(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (L == co) return "running";
  if (is_busy(L, 1)) return "normal";
  switch (lua_status(co)) {
  case LUA_YIELD:
    return "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default:
    return "dead";
  }
}

/* coroutine.status(co) */
static int co_status(lua_State *L) {
  lua_State *co = check_coroutine(L);
  lua_pushstring(L, status_of(L, co));
  return 1;
}

/* coroutine.close(co) */
static int co_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *status = status_of(L, co);
  if (*status != 'd' && *status != 's')
    return luaL_error(L, "cannot close a %s coroutine", status);
  if (reset(co, L) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

void halo_install_coroutine(lua_State *L) {
  static const luaL_Reg funcs[] = {{"resume", co_resume},
                                   {"wrap", co_wrap},
                                   {"yield", co_yield },
                                   {"running", co_running},
                                   {"isyieldable", co_isyieldable},
                                   {"status", co_status},
                                   {"close", co_close},
                                   {NULL, NULL}};
  luaL_checkstack(L, 10, NULL);
  lua_getglobal(L, LUA_COLIBNAME);
  halo_runtime *rt = halo_runtime_open(L);
  halo_fixed_push(L, rt, AT_BUSY);
  luaL_setfuncs(L, funcs, 2);
  lua_pop(L, 1);
}

/* core.install_coroutine() */
static int install(lua_State *L) {
  halo_install_coroutine(L);
  return 0;
}

int halo_open_coroutine(lua_State *L) {
  static const luaL_Reg funcs[] = {{"install_coroutine", install},
                                   {NULL, NULL}};
  halo_setfuncs(L, funcs);
  return 0;
}
