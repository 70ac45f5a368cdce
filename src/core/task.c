/* Tasks: pooled coroutines and their records. */
#include "core/task.h"

#include <stdlib.h>
#include <string.h>

#include "core/state.h"

/* --- Records --------------------------------------------------------------------- */

halo_task *halo_task_take(halo_runtime *rt) {
  halo_task *t = rt->free_tasks;
  if (t != NULL)
    rt->free_tasks = t->next;
  else
    t = halo_alloc(NULL, sizeof *t);
  memset(t, 0, offsetof(halo_task, own));
  t->rt = rt;
  t->prev = rt->tasks.prev;
  t->next = &rt->tasks;
  t->prev->next = t;
  t->next->prev = t;
  return t;
}

static void release(halo_runtime *rt, halo_task *t) {
  t->prev->next = t->next;
  t->next->prev = t->prev;
  halo_anchor_drop(rt, t->slot);
  halo_anchor_drop(rt, t->reason_slot);
  halo_site_drop(t->site);
  halo_context_drop(rt, t->context);
  halo_anchor_drop(rt, t->then_slot);
  t->state = TASK_ENDED;
  t->next = rt->free_tasks;
  rt->free_tasks = t;
}

void halo_task_drop_all(halo_runtime *rt) {
  while (rt->tasks.next != &rt->tasks) {
    halo_task *t = rt->tasks.next;
    if (t->promise != NULL && t->promise->class == &halo_task_class)
      ((task_object *)t->promise)->task = NULL;
    release(rt, t);
  }
  while (rt->free_tasks != NULL) {
    halo_task *t = rt->free_tasks;
    rt->free_tasks = t->next;
    free(t);
  }
}

bool halo_pack(lua_State *L, int first, int n) {
  if (n == 0) {
    lua_pushvalue(L, first);
    return false;
  }
  first = lua_absindex(L, first);
  lua_createtable(L, n + 1, 1);
  for (int i = 0; i <= n; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, n);
  lua_rawseti(L, -2, 0);
  return true;
}

static int too_many(lua_State *L) {
  return luaL_error(L, "stack overflow (too many arguments)");
}

/* Leaves the function and its arguments in the place of the table on top;
 * one that raises, if there is no room. Gives the number of arguments. */
static int unpack(lua_State *S) {
  lua_rawgeti(S, -1, 0);
  int n = (int)lua_tointeger(S, -1);
  lua_pop(S, 1);
  if (!lua_checkstack(S, n + 10)) {
    lua_pop(S, 1);
    lua_pushcfunction(S, too_many);
    return 0;
  }
  for (int i = 0; i <= n; i++) lua_rawgeti(S, -1 - i, i + 1);
  lua_remove(S, -n - 2);
  return n;
}

int halo_unpack(lua_State *S, halo_runtime *rt, int slot, bool packed) {
  halo_anchor_push(S, rt, slot);
  return packed ? unpack(S) : 0;
}

enum { MOST_INLINE = 200 }; /* arguments in a Task's own user values */

enum { BASE_STACK = 30 }; /* what every coroutine of ours has room for */

/* --- Coroutines ----------------------------------------------------------------------- */

/* A new coroutine, with the base and the message handler of all tasks at the
 * bottom of its stack, where they stay.                          [-0, +0, m] */
static int new_coroutine(lua_State *S) {
  halo_task *t = lua_touserdata(S, 1);
  lua_State *co = lua_newthread(S);
  luaL_checkstack(co, BASE_STACK, NULL);
  halo_fixed_push(co, t->rt, AT_BASE);
  halo_fixed_push(co, t->rt, AT_HANDLER);
  halo_fixed_push(S, t->rt, AT_BUSY); /* no script may resume or close it */
  lua_pushvalue(S, -2);
  lua_pushboolean(S, 1);
  lua_rawset(S, -3);
  lua_pop(S, 1);
  t->co_slot = halo_anchor(S, t->rt);
  t->co = co;
  return 0;
}

static void take_coroutine(halo_runtime *rt, halo_task *t) {
  if (rt->npooled > 0) {
    pooled p = rt->pool[--rt->npooled];
    t->co = p.co;
    t->co_slot = p.slot;
    return;
  }
  if (halo_protect(rt, new_coroutine, t) != 0) abort(); /* no memory */
}

static void give_coroutine(halo_runtime *rt, halo_task *t, bool clean) {
  if (clean && rt->npooled < POOL_SIZE && lua_gethook(t->co) == NULL) {
    lua_settop(t->co, 2);
    rt->pool[rt->npooled++] = (pooled){t->co, t->co_slot};
  } else
    halo_anchor_drop(rt, t->co_slot);
  t->co = t->at = NULL;
}

/* --- Switching --------------------------------------------------------------------------- */

/* The task has ended; its 'n' results or its error are on top of scratch. */
static void ended(halo_runtime *rt, halo_task *t, bool failed, int n) {
  lua_State *S = rt->scratch;
  int top = lua_gettop(S) - n;
  bool callback = t->origin == ORIGIN_CALLBACK;
  if (t->promise != NULL) {
    if (callback) t->promise->handled = true; /* reported below */
    halo_promise_end(rt, t, failed, n);
  }
  if (t->done != NULL)
    t->done(rt, t->ud, failed, n);
  else if (callback && failed &&
           !(t->cancelled && halo_error_is(S, -1, "ECANCELED"))) {
    lua_pushvalue(S, -1);
    halo_uncaught(rt, S, t->site);
  }
  lua_settop(S, top);
  release(rt, t);
}

/* A plain coroutine.yield has come out of the task's own body: it is raised
 * there as an error, by a hook that fires at the next instruction. */
static void raise_yield(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  lua_pushliteral(L, "attempt to yield from outside a coroutine");
  lua_error(L);
}

/* Equal strings may be of different errors: only an object is known for the
 * same once other code has run. */
static void forget_trace(halo_runtime *rt) {
  if (!rt->trace_known) return;
  int type = lua_type(rt->store, AT_RAISED);
  if (type == LUA_TTABLE || type == LUA_TUSERDATA) return;
  rt->trace_known = false;
  lua_pushnil(rt->store);
  lua_replace(rt->store, AT_TRACE);
}

/* Goes on with the task, whose coroutine gets its 'n' top values. */
static void switch_to(halo_runtime *rt, halo_task *t, int n) {
  lua_State *co = t->co, *S = rt->scratch;
  int nresults, status;
  rt->turns = 0;
  for (;;) {
    rt->current = t;
    rt->running = co;
    t->state = TASK_RUNNING;
    status = lua_resume(co, S, n, &nresults);
    rt->current = NULL;
    rt->running = NULL;
    if (status != LUA_YIELD) break;
    if (t->state == TASK_WAITING) {
      forget_trace(rt);
      return;
    }
    lua_pop(co, nresults);
    lua_sethook(co, raise_yield, LUA_MASKCOUNT, 1);
    t->yielded = true;
    n = 0;
  }
  bool clean = status == LUA_OK;
  nresults -= 2; /* the base and the handler stay at the bottom */
  if (!clean) {  /* out of memory or worse: the base itself failed */
    t->failing = true;
    nresults = 1;
  }
  if (nresults > 10 && !lua_checkstack(S, nresults + 20)) {
    lua_settop(co, 0);
    lua_pushliteral(co, "too many results");
    t->failing = true;
    nresults = 1;
  }
  lua_xmove(co, S, nresults);
  if (t->yielded && lua_gethook(co) == raise_yield) {
    /* No instruction came after the yield: the task's function was yield. */
    lua_pop(S, nresults);
    lua_pushliteral(S, "attempt to yield from outside a coroutine");
    t->failing = true;
    nresults = 1;
  }
  bool failed = t->failing;
  give_coroutine(rt, t, clean);
  ended(rt, t, failed, nresults);
  forget_trace(rt);
}

/* Its coroutine was closed by somebody (stock Lua's coroutine.close). */
static void end_closed(halo_runtime *rt, halo_task *t) {
  lua_pushliteral(rt->scratch, "the coroutine of a task was closed");
  give_coroutine(rt, t, false);
  ended(rt, t, true, 1);
}

/* Starts the task; its function and 'n' arguments are on top of scratch. */
void halo_task_begin(halo_runtime *rt, halo_task *t, int n) {
  lua_State *S = rt->scratch;
  take_coroutine(rt, t);
  if (n > BASE_STACK / 2 && !lua_checkstack(t->co, n + BASE_STACK)) {
    lua_pop(S, n + 1);
    lua_pushcfunction(S, too_many);
    n = 0;
  }
  lua_pushvalue(t->co, 1);
  lua_pushvalue(t->co, 2);
  lua_xmove(S, t->co, n + 1);
  switch_to(rt, t, n + 2);
}

static int make_canceled(lua_State *S) {
  halo_push_canceled(S, lua_touserdata(S, 1));
  return 1;
}

/* Cancelled before it began: it never does. */
static void end_unborn(halo_runtime *rt, halo_task *t) {
  int n = halo_protect(rt, make_canceled, t);
  ended(rt, t, true, n > 1 ? 1 : n);
}

void halo_task_start(halo_runtime *rt, halo_task *t) {
  int n = halo_unpack(rt->scratch, rt, t->slot, t->packed);
  halo_anchor_drop(rt, t->slot);
  t->slot = 0;
  halo_task_begin(rt, t, n);
}

/* The record of a Task that has not begun yet. */
static halo_task *make_record(halo_runtime *rt, task_object *o, int slot) {
  halo_task *t = halo_task_take(rt);
  t->promise = &o->promise;
  t->origin = ORIGIN_SPAWN;
  t->site = o->site;
  t->context = o->context;
  t->slot = slot;
  t->id = o->id;
  o->site = NULL;
  o->context = NULL;
  o->task = t;
  return t;
}

void halo_task_spawned(halo_runtime *rt, task_object *o, int slot) {
  lua_State *S = rt->scratch;
  halo_task *t = o->task;
  if (t == NULL)
    t = make_record(rt, o, slot);
  else
    t->slot = slot;
  if (t->cancelled) {
    end_unborn(rt, t);
    return;
  }
  int n = o->nargs;
  if (n > 10 && !lua_checkstack(S, n + 10)) abort();
  halo_anchor_push(S, rt, slot); /* its function stays in it to the end */
  lua_getiuservalue(S, -1, UV_VALUE);
  for (int i = 0; i < n; i++) {
    lua_getiuservalue(S, -2 - i, UV_ARGS + i);
    lua_pushnil(S);
    lua_setiuservalue(S, -4 - i, UV_ARGS + i);
  }
  if (o->packed) n = unpack(S);
  halo_task_begin(rt, t, n);
  lua_pop(S, 1);
}

/* The values of the promise that it waited for go on the waiting stack; the
 * promise is the first argument of the function that waits there. */
static void fetch_values(halo_runtime *rt, halo_task *t) {
  lua_State *at = t->at;
  halo_promise *p = t->own.source;
  t->from_promise = false;
  if (!lua_checkstack(at, p->n + 10)) {
    lua_pushliteral(at, "stack overflow (too many values)");
    t->nvalues = 1;
    t->failing = true;
    return;
  }
  if (p->state == REJECTED) {
    t->failing = true;
    lua_getiuservalue(at, 1, UV_REACTIONS);
    lua_getiuservalue(at, 1, UV_VALUE);
    halo_trace_set(at, rt);
  }
  t->nvalues = halo_promise_push_values(at, 1);
}

void halo_task_resume(halo_runtime *rt, halo_task *t) {
  if (lua_status(t->at) != LUA_YIELD || lua_status(t->co) != LUA_YIELD) {
    end_closed(rt, t);
    return;
  }
  if (t->from_promise) fetch_values(rt, t);
  /* Inner coroutines get their values by the chain of resumes. */
  switch_to(rt, t, t->at == t->co ? t->nvalues : 0);
}

void halo_task_ready(halo_runtime *rt, halo_task *t) {
  t->state = TASK_READY;
  halo_enqueue(&rt->microtasks, t, ENTRY_RESUME, 0);
}

halo_task *halo_callback(halo_runtime *rt, int nargs, halo_site *site,
                         halo_context *context, halo_task_done *done,
                         void *ud) {
  halo_task *t = halo_task_take(rt);
  uint64_t id = t->id = ++rt->task_ids;
  t->site = halo_site_keep(site);
  t->context = halo_context_keep(context);
  t->done = done;
  t->ud = ud;
  rt->in_microtasks = false;
  halo_task_begin(rt, t, nargs);
  return t->state != TASK_ENDED && t->id == id ? t : NULL;
}

/* --- What Lua sees ------------------------------------------------------------------- */

void halo_task_cancel(halo_task *t) {
  t->cancelled = true;
  halo_interrupt(t);
}

void halo_check_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    luaL_typeerror(L, index, "function");
  lua_pop(L, 1);
}

/* halo.spawn(fn, ...) -> Task
 * Upvalues: 2 the metatable of Tasks, 3 the table of anchors. */
static int spawn(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  halo_check_callable(L, 1);
  halo_check_open(L, rt);
  int nargs = lua_gettop(L) - 1;
  bool packed = nargs > MOST_INLINE;
  if (packed) {
    halo_pack(L, 1, nargs);
    lua_replace(L, 1);
    lua_settop(L, 1);
    nargs = 0;
  }
  task_object *o = lua_newuserdatauv(L, sizeof *o, 2 + nargs);
  memset(o, 0, sizeof *o);
  o->promise.class = &halo_task_class;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_VALUE);
  for (int i = 0; i < nargs; i++) {
    lua_pushvalue(L, 2 + i);
    lua_setiuservalue(L, -2, UV_ARGS + i);
  }
  int slot = halo_slot_take(rt);
  lua_pushvalue(L, -1);
  lua_rawseti(L, lua_upvalueindex(3), slot);
  o->spawned = true;
  o->packed = packed;
  o->nargs = nargs;
  o->site = halo_site_here(L);
  o->context = halo_context_here(rt);
  o->id = ++rt->task_ids;
  halo_enqueue(&rt->microtasks, o, ENTRY_SPAWN, slot);
  return 1;
}

/* Queues a callback: its function is at 1. */
static int queue_callback(lua_State *L, halo_queue *q) {
  halo_runtime *rt = halo_rt(L);
  halo_check_callable(L, 1);
  halo_check_open(L, rt);
  bool packed = halo_pack(L, 1, lua_gettop(L) - 1);
  int slot = halo_anchor(L, rt);
  halo_task *t = halo_task_take(rt);
  t->id = ++rt->task_ids;
  t->slot = slot;
  t->packed = packed;
  t->site = halo_site_here(L);
  t->context = halo_context_here(rt);
  halo_enqueue(q, t, ENTRY_START, 0);
  return 0;
}

/* halo.next_tick(fn, ...) */
static int next_tick(lua_State *L) {
  return queue_callback(L, &halo_rt(L)->ticks);
}

/* halo.queue_microtask(fn, ...) */
static int queue_microtask(lua_State *L) {
  return queue_callback(L, &halo_rt(L)->microtasks);
}

void halo_task_push(lua_State *L, halo_runtime *rt, halo_task *t) {
  if (t->promise != NULL) { /* a reaction's is the derived promise */
    halo_anchor_push(L, rt, t->slot);
    return;
  }
  task_object *o = halo_object_new(L, &halo_task_class, sizeof *o, 2);
  lua_pushvalue(L, -1);
  t->slot = halo_anchor(L, rt);
  t->promise = &o->promise;
  o->task = t;
  o->id = t->id;
}

/* halo.current() -> Task|nil: the running task, nil outside all tasks */
static int current(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  if (rt->current == NULL)
    lua_pushnil(L);
  else
    halo_task_push(L, rt, rt->current);
  return 1;
}

static task_object *check_task(lua_State *L) {
  return halo_object_check(L, 1, &halo_task_class);
}

/* The record of the Task, also of one that has not begun; NULL: it ended. */
static halo_task *check_record(lua_State *L) {
  task_object *o = check_task(L);
  if (o->task == NULL && o->spawned && o->promise.state == PENDING &&
      !halo_rt(L)->closing)
    make_record(halo_rt(L), o, 0);
  return o->task;
}

/* task:cancel([reason]): each current and later wait of it raises ECANCELED */
static int task_cancel(lua_State *L) {
  halo_task *t = check_record(L);
  if (t == NULL) return 0;
  if (t->reason_slot == 0 && !lua_isnoneornil(L, 2)) {
    lua_settop(L, 2);
    t->reason_slot = halo_anchor(L, t->rt);
  }
  halo_task_cancel(t);
  return 0;
}

/* task:cancelled() -> boolean */
static int task_cancelled(lua_State *L) {
  task_object *o = check_task(L);
  lua_pushboolean(L, o->promise.canceled ||
                         (o->task != NULL && o->task->cancelled));
  return 1;
}

/* task:id() -> integer */
static int task_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_task(L)->id);
  return 1;
}

/* task:name([s]) -> string|nil: its name, after setting it if given */
static int task_name(lua_State *L) {
  check_task(L);
  luaL_optstring(L, 2, NULL);
  lua_settop(L, 2);
  halo_fixed_push(L, halo_rt(L), AT_NAMES);
  if (!lua_isnil(L, 2)) {
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_rawset(L, 3);
  }
  lua_pushvalue(L, 1);
  lua_rawget(L, 3);
  return 1;
}

/* task:traceback() -> string: where it waits, or where it failed */
static int task_traceback(lua_State *L) {
  task_object *o = check_task(L);
  halo_task *t = o->task;
  if (o->promise.state == REJECTED) {
    lua_getiuservalue(L, 1, UV_REACTIONS);
    if (lua_isstring(L, -1)) return 1;
  }
  if (t == NULL || t->co == NULL) {
    lua_pushliteral(L, "stack traceback:");
    return 1;
  }
  lua_State *at = t->state == TASK_RUNNING ? t->rt->running : t->at;
  if (at == NULL) at = t->co;
  luaL_traceback(L, at, NULL, at == L ? 1 : 0);
  for (halo_site *s = t->site; s != NULL; s = s->parent) {
    lua_pushfstring(L, "\nspawned at %s:%d", s->source, s->line);
    lua_concat(L, 2);
  }
  return 1;
}

static int task_tostring(lua_State *L) {
  task_object *o = check_task(L);
  const char *states[] = {"pending", "fulfilled", "rejected"};
  lua_pushfstring(L, "Task %I (%s)", (LUAI_UACINT)o->id,
                  states[o->promise.state]);
  return 1;
}

static const luaL_Reg task_methods[] = {
    {"cancel", task_cancel}, {"cancelled", task_cancelled}, {"id", task_id},
    {"name", task_name},     {"traceback", task_traceback}, {NULL, NULL}};
static const luaL_Reg task_meta[] = {{"__tostring", task_tostring},
                                     {NULL, NULL}};
const halo_class halo_task_class = {"halo.Task", &halo_promise_class,
                                    task_methods, task_meta};

int halo_open_task(lua_State *L) {
  static const luaL_Reg funcs[] = {{"next_tick", next_tick},
                                   {"queue_microtask", queue_microtask},
                                   {"current", current},
                                   {NULL, NULL}};
  halo_class_register(L, &halo_promise_class);
  halo_class_register(L, &halo_task_class);
  halo_setfuncs(L, funcs);
  halo_runtime *rt = halo_runtime_open(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &halo_task_class);
  halo_fixed_push(L, rt, AT_ANCHORS);
  lua_pushcclosure(L, spawn, 3);
  lua_setfield(L, -2, "spawn");
  return 0;
}
