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
  luaL_argexpected(L, co, 1, "thread");
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

/* The first step, with the 'n' arguments on top of L; 'held' more are on the
 * coroutine's own stack. */
static int start(lua_State *L, lua_State *co, int index, int n, int held,
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
  return step(L, co, n + held, base);
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
  if (L != halo_rt(L)->running) { /* resumed by stock Lua's resume */
    lua_settop(L, 2);
    return lua_yieldk(L, 0, 0, resume_k);
  }
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
  int n = start(L, co, 1, lua_gettop(L) - 1, 0, base);
  return resume_ended(L, n, base);
}

/* --- Wrapping: upvalue 3 is the coroutine ---------------------------------------- */

/* Its <close> variables run where no wait is possible. */
static int reset(lua_State *co, lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  bool outer = rt->in_close;
  rt->in_close = true;
#if LUA_VERSION_RELEASE_NUM >= 50406
  int status = lua_closethread(co, L);
#else
  int status = lua_resetthread(co);
#endif
  rt->in_close = outer;
  return status;
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
  if (L != halo_rt(L)->running) {
    lua_settop(L, 1);
    return lua_yieldk(L, 0, 0, wrap_k);
  }
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
  /* At first its function is an argument, which is there already. */
  bool fresh = lua_status(co) == LUA_OK && lua_gettop(co) == 2;
  int n = start(L, co, lua_upvalueindex(3), lua_gettop(L), fresh, base);
  return wrap_ended(L, n, base);
}

/* The body of a wrapped coroutine: the function at 1 in a protected call of
 * the coroutine's own, so that its <close> variables may wait while an error
 * unwinds. (With create and resume the stack of one that failed is kept, for
 * debug.traceback, and so are those variables, until coroutine.close.) */
static int body_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L);
}

static int wrap_body(lua_State *L) {
  int status = lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, body_ended);
  return body_ended(L, status, 0);
}

/* coroutine.wrap(fn) */
static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, BUSY);
  lua_State *co = lua_newthread(L);
  lua_pushcfunction(co, wrap_body);
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
  halo_frames_drop(L, co);
  if (reset(co, L) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

/* --- debug.traceback ------------------------------------------------------------
 * Stock Lua's, but without the frames of ours at the bottom of tasks and of
 * wrapped coroutines. */

static bool is_ours(lua_State *L1) {
  lua_Debug ar;
  int low = 0, high = 1; /* the last level is from low on, below high */
  if (!lua_getstack(L1, 0, &ar)) return false;
  while (lua_getstack(L1, high, &ar)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    if (lua_getstack(L1, middle, &ar))
      low = middle;
    else
      high = middle;
  }
  lua_getstack(L1, low, &ar);
  lua_getinfo(L1, "f", &ar);
  lua_CFunction f = lua_tocfunction(L1, -1);
  lua_pop(L1, 1);
  return f == wrap_body || f == halo_task_base;
}

/* debug.traceback([thread,] [message [, level]]) */
static int traceback(lua_State *L) {
  lua_State *L1 = lua_tothread(L, 1);
  int arg = L1 != NULL ? 1 : 0;
  if (L1 == NULL) L1 = L;
  const char *message = lua_tostring(L, arg + 1);
  if (message == NULL && !lua_isnoneornil(L, arg + 1)) {
    lua_pushvalue(L, arg + 1); /* no string: as it is */
    return 1;
  }
  int level = (int)luaL_optinteger(L, arg + 2, L == L1 ? 1 : 0);
  luaL_checkstack(L, 10, NULL);
  luaL_traceback(L, L1, message, level);
  if (is_ours(L1)) halo_trace_drop_base(L);
  return 1;
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
  lua_getglobal(L, LUA_DBLIBNAME);
  if (lua_istable(L, -1)) {
    halo_pushfunction(L, rt, traceback);
    lua_setfield(L, -2, "traceback");
  }
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
