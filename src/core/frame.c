/* Frames: what bounds a part of a task: time limits, scopes, shields and
 * contexts. They are a list on the task, the innermost first. */
#include "core/state.h"

static int frame_gc(lua_State *L) {
  halo_frame *f = lua_touserdata(L, 1);
  halo_frame_end(f);
  return 0;
}

void halo_frame_end(halo_frame *f) {
  f->active = false;
  f->task = NULL;
  halo_timer_clear(f->rt, &f->timer);
  halo_context_drop(f->rt, f->context);
  halo_context_drop(f->rt, f->saved);
  f->context = f->saved = NULL;
}

static int frame_cancel(lua_State *L);
static const luaL_Reg frame_methods[] = {{"cancel", frame_cancel},
                                         {NULL, NULL}};
static const luaL_Reg frame_meta[] = {{"__gc", frame_gc}, {NULL, NULL}};
static const halo_class frame_class = {"halo.frame", NULL, frame_methods,
                                       frame_meta};

halo_frame *halo_frame_new(lua_State *L, int kind) {
  halo_frame *f = halo_object_new(L, &frame_class, sizeof *f, 0);
  f->rt = halo_rt(L);
  f->kind = (enum frame_kind)kind;
  return f;
}

/* --- Cancelling ---------------------------------------------------------------- */

halo_frame *halo_cancelled(const halo_task *t, bool *whole) {
  *whole = false;
  for (halo_frame *f = t->frames; f != NULL; f = f->outer) {
    if (f->kind == FRAME_SHIELD) return NULL;
    if (f->cancelled) return f;
  }
  *whole = t->cancelled;
  return NULL;
}

void halo_push_canceled(lua_State *L, halo_task *t) {
  bool whole;
  halo_frame *f = halo_cancelled(t, &whole);
  luaL_checkstack(L, 6, NULL);
  if (f != NULL && f->kind == FRAME_TIMEOUT) {
    halo_error_push(L, "ECANCELED", "canceled: the time is up");
    return;
  }
  if (f != NULL || t->reason_slot == 0) {
    halo_error_push(L, "ECANCELED", "canceled");
    return;
  }
  halo_anchor_push(L, t->rt, t->reason_slot);
  if (lua_type(L, -1) == LUA_TSTRING)
    halo_error_push(L, "ECANCELED", "canceled: %s", lua_tostring(L, -1));
  else
    halo_error_push(L, "ECANCELED", "canceled");
  lua_insert(L, -2);
  lua_setfield(L, -2, "reason");
}

static int push_canceled(lua_State *S) {
  halo_push_canceled(S, lua_touserdata(S, 1));
  return 1;
}

void halo_interrupt(halo_task *t) {
  bool whole;
  halo_runtime *rt = t->rt;
  if (t->state != TASK_WAITING || t->wait == NULL) return;
  if (t->wait->cancel == NULL) return; /* its answer is there already */
  if (rt->protecting > 0) {
    /* A finalizer cancels, while C makes the results of some wait: perhaps
     * of this one, whose record it is about to use. */
    halo_enqueue(&rt->microtasks, t, ENTRY_INTERRUPT, (int)t->id);
    return;
  }
  if (halo_cancelled(t, &whole) == NULL && !whole) return;
  halo_wait *w = t->wait;
  w->task = NULL; /* whatever its cancel does, nobody is woken by it */
  t->wait = NULL;
  w->cancel(w);
  int n = halo_protect(rt, push_canceled, t);
  if (n == 0) return; /* closing */
  lua_State *S = rt->scratch;
  if (n == 2) lua_remove(S, -2);
  if (!lua_checkstack(t->at, 10)) lua_settop(t->at, 0);
  lua_xmove(S, t->at, 1);
  t->nvalues = 1;
  t->failing = true;
  halo_task_ready(rt, t);
}

/* frame:cancel(): each wait inside raises ECANCELED */
static int frame_cancel(lua_State *L) {
  halo_frame *f = halo_object_check(L, 1, &frame_class);
  f->cancelled = true;
  if (f->active && f->task != NULL) halo_interrupt(f->task);
  return 0;
}

/* --- Coroutines of the user's ------------------------------------------------------ */

/* A context's frame: the task goes on with the context of before. */
static void restore_context(halo_task *t, halo_frame *f) {
  halo_context_drop(t->rt, t->context);
  t->context = f->saved;
  f->saved = NULL;
}

void halo_frame_set_context(halo_task *t, halo_frame *f) {
  f->saved = t->context;
  t->context = halo_context_keep(f->context);
}

/* From the outermost of a suspended coroutine's frames to the innermost. */
static void enter_frames(halo_task *t, halo_frame *f) {
  if (f->outer == NULL)
    f->outer = t->frames;
  else
    enter_frames(t, f->outer);
  f->task = t;
  if (f->kind == FRAME_CONTEXT) halo_frame_set_context(t, f);
}

void halo_frames_suspend(lua_State *L, halo_task *t, halo_frame *base,
                         lua_State *co) {
  halo_runtime *rt = t->rt;
  halo_fixed_push(L, rt, AT_BUSY);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushlightuserdata(L, t->frames);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  rt->nbusy++;
  for (halo_frame *f = t->frames, *outer; f != base; f = outer) {
    outer = f->outer;
    f->task = NULL;
    if (f->kind == FRAME_CONTEXT) restore_context(t, f);
    if (outer == base) f->outer = NULL;
  }
  t->frames = base;
}

void halo_frames_resume(lua_State *L, halo_task *t, lua_State *co) {
  halo_runtime *rt = t->rt;
  luaL_checkstack(L, 6, NULL);
  halo_fixed_push(L, rt, AT_BUSY);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  halo_frame *top = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
  lua_pop(L, 1);
  if (top == NULL) {
    lua_pop(L, 2);
    return;
  }
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  rt->nbusy--;
  enter_frames(t, top);
  t->frames = top;
}

void halo_frames_drop(lua_State *L, lua_State *co) {
  halo_runtime *rt = halo_rt(L);
  if (rt->nbusy == 0) return;
  luaL_checkstack(L, 6, NULL);
  halo_fixed_push(L, rt, AT_BUSY);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  halo_frame *f = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
  lua_pop(L, 1);
  if (f != NULL) {
    lua_pushnil(L);
    lua_rawset(L, -3);
    rt->nbusy--;
  } else
    lua_pop(L, 1);
  lua_pop(L, 1);
  for (halo_frame *outer; f != NULL; f = outer) {
    outer = f->outer;
    halo_frame_end(f);
  }
}

/* --- Calling in a frame ------------------------------------------------------------------
 * Stack: 1 the frame, 2 the message handler, 3 the function, its arguments. */

static int push_timeout(lua_State *L) {
  return halo_fail_code(L, "ETIMEDOUT", "operation timed out");
}

static int frame_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  halo_frame *f = lua_touserdata(L, 1);
  halo_task *t = f->task;
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (t != NULL) {
    t->frames = f->outer;
    if (f->kind == FRAME_CONTEXT) restore_context(t, f);
  }
  halo_frame_end(f);
  if (f->kind == FRAME_SCOPE) {
    lua_pushboolean(L, ok);
    lua_replace(L, 2);
    if (!ok) halo_trace_push(L, f->rt, 3);
    return lua_gettop(L) - 1;
  }
  if (ok) return lua_gettop(L) - 2;
  if (f->kind == FRAME_TIMEOUT && f->cancelled &&
      halo_error_is(L, 3, "ECANCELED"))
    return push_timeout(L);
  return lua_error(L);
}

int halo_frame_call(lua_State *L, halo_frame *f) {
  halo_task *t = f->rt->current;
  f->active = true;
  f->task = t;
  f->outer = t->frames;
  t->frames = f;
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, frame_ended);
  return frame_ended(L, status, 0);
}

static void insert_handler(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  luaL_checkstack(L, 6, NULL);
  halo_fixed_push(L, rt, AT_HANDLER);
  lua_insert(L, 2);
}

static void on_timeout(halo_runtime *rt, halo_calltimer *timer) {
  (void)rt;
  halo_frame *f = (halo_frame *)((char *)timer - offsetof(halo_frame, timer));
  f->cancelled = true;
  if (f->active && f->task != NULL) halo_interrupt(f->task);
}

/* halo.timeout(seconds, fn, ...) -> fn's results | nil, err (ETIMEDOUT)   (waits) */
static int timeout(lua_State *L) {
  uint64_t ms = halo_check_ms(L, 1);
  halo_check_callable(L, 2);
  HALO_WAITS(L);
  halo_frame *f = halo_frame_new(L, FRAME_TIMEOUT);
  lua_replace(L, 1);
  insert_handler(L);
  f->timer.fire = on_timeout;
  halo_timer_set(f->rt, &f->timer, ms);
  return halo_frame_call(L, f);
}

/* halo.shield(fn, ...) -> fn's results                                    (waits)
 * Waits in fn are not cancelled with the task. */
static int shield(lua_State *L) {
  halo_check_callable(L, 1);
  halo_runtime *rt = halo_rt(L);
  if (rt->current == NULL) return halo_wait_outside(L);
  if (L != rt->running || !lua_isyieldable(L)) halo_cannot_wait(L, L);
  halo_frame *f = halo_frame_new(L, FRAME_SHIELD);
  lua_insert(L, 1);
  insert_handler(L);
  return halo_frame_call(L, f);
}

/* core.frame() -> frame */
static int new_frame(lua_State *L) {
  halo_frame_new(L, FRAME_SCOPE);
  return 1;
}

/* core.guard(frame, fn, ...) -> true, results | false, err, traceback     (waits) */
static int guard(lua_State *L) {
  halo_frame *f = halo_object_check(L, 1, &frame_class);
  luaL_checkany(L, 2);
  halo_runtime *rt = halo_rt(L);
  if (rt->current == NULL) return halo_wait_outside(L);
  if (L != rt->running || !lua_isyieldable(L)) halo_cannot_wait(L, L);
  insert_handler(L);
  return halo_frame_call(L, f);
}

int halo_open_frame(lua_State *L) {
  static const luaL_Reg funcs[] = {{"timeout", timeout},
                                   {"shield", shield},
                                   {"frame", new_frame},
                                   {"guard", guard},
                                   {NULL, NULL}};
  halo_class_register(L, &frame_class);
  halo_setfuncs(L, funcs);
  return 0;
}
