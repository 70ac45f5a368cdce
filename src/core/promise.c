/* Promises: Promises/A+ with any number of values. */
#include "core/promise.h"

#include <stdlib.h>

#include "core/state.h"

static const halo_class reaction_class = {"halo.reaction", NULL, NULL, NULL};
static const halo_class reaction_context_class;

static halo_promise *test_promise(lua_State *L, int index) {
  const halo_class **o = lua_touserdata(L, index);
  if (o == NULL || lua_rawlen(L, index) < sizeof(halo_promise)) return NULL;
  if (*o != &halo_promise_class && *o != &halo_task_class) return NULL;
  return (halo_promise *)o;
}

static halo_promise *check_promise(lua_State *L, int index) {
  halo_promise *p = test_promise(L, index);
  if (p == NULL) luaL_typeerror(L, index, "halo.Promise");
  return p;
}

halo_promise *halo_promise_new(lua_State *L) {
  return halo_object_new(L, &halo_promise_class, sizeof(halo_promise), 2);
}

/* --- Settling ------------------------------------------------------------------- */

int halo_promise_push_values(lua_State *L, int index) {
  halo_promise *p = lua_touserdata(L, index);
  int n = p->n;
  lua_getiuservalue(L, index, UV_VALUE);
  if (!p->packed) {
    if (n == 0) lua_pop(L, 1);
    return n;
  }
  luaL_checkstack(L, n + 5, "too many values");
  int table = lua_gettop(L);
  for (int i = 1; i <= n; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return n;
}

/* Takes the reaction out of its promise's list of nodes. */
static void unlink_node(halo_promise *p, halo_reaction *r) {
  if (r->prev != NULL)
    r->prev->next = r->next;
  else
    p->first = r->next;
  if (r->next != NULL)
    r->next->prev = r->prev;
  else
    p->last = r->prev;
}

static void link_node(halo_promise *p, halo_reaction *r) {
  r->next = NULL;
  r->prev = p->last;
  if (p->last != NULL)
    p->last->next = r;
  else
    p->first = r;
  p->last = r;
}

/* Queues the reaction object on top of L, whose source, at 'source', has
 * settled.                                                       [-1, +0, m] */
static void queue_reaction(lua_State *L, halo_runtime *rt, int source) {
  lua_pushvalue(L, source);
  lua_setiuservalue(L, -2, REACTION_SOURCE);
  int slot = halo_anchor(L, rt);
  halo_enqueue(&rt->microtasks, NULL, ENTRY_REACTION, slot);
}

/* Calls the function of our own that is to be called at the settling. */
static void call_reaction(lua_State *L, int source) {
  lua_getiuservalue(L, -1, REACTION_VALUE);
  lua_pushvalue(L, source);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

/* Pushes the object of a node out of what the promise kept them in. */
static void push_reaction(lua_State *L, int list, const halo_reaction *r) {
  if (r->index == 0)
    lua_pushvalue(L, list);
  else
    lua_rawgeti(L, list, r->index);
}

static void react(lua_State *L, halo_runtime *rt, int index, halo_promise *p) {
  halo_reaction *r;
  int list = 0;
  luaL_checkstack(L, 10, NULL);
  if (p->nreactions > 0) {
    lua_getiuservalue(L, index, UV_REACTIONS);
    list = lua_gettop(L);
  }
  /* First those that wait and those with jobs, in their order. */
  for (halo_reaction *next = p->first; (r = next) != NULL;) {
    next = r->next;
    if (r->kind == REACT_CALL) continue;
    unlink_node(p, r);
    if (r->kind == REACT_AWAIT) {
      halo_task *t = r->task;
      t->wait = NULL;
      t->own.wait.task = NULL;
      t->from_promise = true;
      halo_task_ready(rt, t);
    } else {
      push_reaction(L, list, r);
      queue_reaction(L, rt, index);
    }
  }
  /* Then what is called at once, which may do anything. */
  while ((r = p->first) != NULL) {
    unlink_node(p, r);
    push_reaction(L, list, r);
    call_reaction(L, index);
  }
  if (list != 0) lua_pop(L, 1);
  lua_pushnil(L);
  lua_setiuservalue(L, index, UV_REACTIONS);
}

static void settle(lua_State *L, int index, int state, int n) {
  halo_runtime *rt = halo_rt(L);
  index = lua_absindex(L, index);
  halo_promise *p = lua_touserdata(L, index);
  luaL_checkstack(L, 10, NULL);
  if (n > 1) lua_createtable(L, n, 0); /* a finalizer may settle it here */
  if (p->state != PENDING || rt->closing) {
    lua_pop(L, n > 1 ? n + 1 : n);
    return;
  }
  if (n > 1) {
    lua_insert(L, -n - 1);
    for (int i = n; i > 0; i--) lua_rawseti(L, -i - 1, i);
    p->packed = true;
  } else if (n == 0)
    lua_pushnil(L);
  lua_setiuservalue(L, index, UV_VALUE);
  p->n = n;
  p->state = (uint8_t)state;
  p->pair++; /* its resolving functions have done their work */
  if (p->first != NULL) react(L, rt, index, p);
  if (state != REJECTED) return;
  lua_getiuservalue(L, index, UV_VALUE);
  halo_trace_push(L, rt, -1);
  lua_setiuservalue(L, index, UV_REACTIONS);
  lua_pop(L, 1);
  if (p->handled || p->queued) return;
  p->queued = true;
  halo_fixed_push(L, rt, AT_REJECTIONS);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, (lua_Integer)++rt->nrejections);
  lua_pop(L, 1);
}

void halo_promise_fulfil(lua_State *L, int index, int n) {
  settle(L, index, FULFILLED, n);
}

void halo_promise_reject(lua_State *L, int index) {
  settle(L, index, REJECTED, 1);
}

/* Tells whether the value on top has a callable __then, and pushes it. */
static bool push_then(lua_State *L) {
  int type = lua_type(L, -1);
  if (type != LUA_TTABLE && type != LUA_TUSERDATA) return false;
  if (luaL_getmetafield(L, -1, "__then") == LUA_TNIL) return false;
  if (lua_isfunction(L, -1)) return true;
  if (luaL_getmetafield(L, -1, "__call") != LUA_TNIL) {
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  return false;
}

static reaction_object *new_reaction(lua_State *L, halo_context *context) {
  reaction_object *r = halo_object_new(
      L, context == NULL ? &reaction_class : &reaction_context_class, sizeof *r,
      4);
  r->context = context;
  return r;
}

void halo_promise_resolve(lua_State *L, int index, int n) {
  halo_runtime *rt = halo_rt(L);
  index = lua_absindex(L, index);
  luaL_checkstack(L, 10, NULL);
  if (n != 1 || rt->closing) {
    settle(L, index, FULFILLED, n);
    return;
  }
  bool promise = test_promise(L, -1) != NULL;
  if (promise && lua_rawequal(L, -1, index)) {
    lua_pop(L, 1);
    halo_error_push(L, "ERR_PROMISE_CYCLE",
                    "a promise cannot be resolved with itself");
    settle(L, index, REJECTED, 1);
    return;
  }
  if (!promise && !push_then(L)) {
    settle(L, index, FULFILLED, 1);
    return;
  }
  /* Adoption takes a job of its own, as in ECMAScript. The promise is locked
   * in from now on: only the job's resolving functions count. */
  if (promise) lua_pushnil(L);
  halo_promise *p = lua_touserdata(L, index);
  p->pair++;
  reaction_object *r = new_reaction(L, promise ? NULL : halo_context_here(rt));
  r->node.kind = promise ? REACT_ADOPT : REACT_THENABLE;
  lua_insert(L, -2); /* value, reaction, then */
  lua_setiuservalue(L, -2, REACTION_VALUE);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, REACTION_DERIVED);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, REACTION_SOURCE);
  int slot = halo_anchor(L, rt);
  halo_enqueue(&rt->microtasks, NULL, ENTRY_ADOPT, slot);
}

enum { MODE_FULFIL, MODE_REJECT, MODE_RESOLVE };

/* The protected form: promise, mode, values. */
int halo_settle(lua_State *L) {
  int mode = (int)lua_tointeger(L, 2);
  lua_remove(L, 2);
  int n = lua_gettop(L) - 1;
  if (mode == MODE_RESOLVE)
    halo_promise_resolve(L, 1, n);
  else
    settle(L, 1, mode == MODE_REJECT ? REJECTED : FULFILLED, n);
  return 0;
}

/* The task whose promise is in its slot has ended; its 'n' values are on top
 * of scratch and stay there. */
void halo_promise_end(halo_runtime *rt, halo_task *t, bool failed, int n) {
  lua_State *S = rt->scratch;
  halo_promise *p = t->promise;
  if (p->class == &halo_task_class) ((task_object *)p)->task = NULL;
  if (failed && t->cancelled && halo_error_is(S, -1, "ECANCELED"))
    p->handled = p->canceled = true;
  if (!failed && n <= 1 && p->first == NULL && !t->resolves) {
    halo_anchor_push(S, rt, t->slot);
    if (n == 1)
      lua_pushvalue(S, -2);
    else
      lua_pushnil(S);
    lua_setiuservalue(S, -2, UV_VALUE);
    lua_pop(S, 1);
    p->n = n;
    p->state = FULFILLED;
    return;
  }
  if (!lua_checkstack(S, n + 20)) {
    lua_pop(S, n);
    for (int i = 0; i < n; i++) /* whoever comes after pops as many */
      lua_pushliteral(S, "stack overflow (too many values)");
    failed = true;
  }
  int first = lua_gettop(S) - n + 1;
  if (failed) n = 1;
  halo_fixed_push(S, rt, AT_SETTLE);
  halo_anchor_push(S, rt, t->slot);
  lua_pushinteger(S, failed        ? MODE_REJECT
                     : t->resolves ? MODE_RESOLVE
                                   : MODE_FULFIL);
  for (int i = 0; i < n; i++) lua_pushvalue(S, first + i);
  if (lua_pcall(S, n + 2, 0, 0) != LUA_OK) lua_pop(S, 1);
}

/* --- Resolving functions ------------------------------------------------------------
 * Upvalues: 1 the runtime, 2 the promise, 3 which pair this is, 4 mode. */

static int call_resolving(lua_State *L) {
  halo_promise *p = lua_touserdata(L, lua_upvalueindex(2));
  if ((lua_Integer)p->pair != lua_tointeger(L, lua_upvalueindex(3))) return 0;
  int n = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  if (lua_toboolean(L, lua_upvalueindex(4)))
    halo_promise_resolve(L, 1, n);
  else {
    lua_settop(L, 2);
    settle(L, 1, REJECTED, 1);
  }
  return 0;
}

/* Pushes resolve and reject for the promise at 'index'.          [-0, +2, m] */
static void push_resolving(lua_State *L, int index) {
  halo_promise *p = lua_touserdata(L, index);
  index = lua_absindex(L, index);
  for (int resolve = 1; resolve >= 0; resolve--) {
    halo_runtime_open(L);
    lua_pushvalue(L, index);
    lua_pushinteger(L, (lua_Integer)p->pair);
    lua_pushboolean(L, resolve);
    lua_pushcclosure(L, call_resolving, 4);
  }
}

/* --- Jobs --------------------------------------------------------------------------------
 * They run on the scratch thread, unprotected but for what allocates. */

static int subscribe_job(lua_State *L);

/* Starts a task on behalf of the reaction at the top of scratch. */
static halo_task *job_task(halo_runtime *rt, reaction_object *r, int origin) {
  lua_State *S = rt->scratch;
  halo_task *t = halo_task_take(rt);
  t->origin = (uint8_t)origin;
  t->context = halo_context_keep(r->context);
  lua_getiuservalue(S, -1, REACTION_DERIVED);
  task_object *derived = lua_touserdata(S, -1);
  t->id = ++rt->task_ids;
  if (derived->promise.class == &halo_task_class) {
    derived->id = t->id;
    derived->task = t;
  }
  t->slot = halo_anchor(S, rt);
  t->promise = &derived->promise;
  t->resolves = true;
  return t;
}

/* Settles the derived promise as the source has been: nothing to call. */
static int pass_on(lua_State *S) {
  lua_getiuservalue(S, 1, REACTION_DERIVED);
  lua_getiuservalue(S, 1, REACTION_SOURCE);
  halo_promise *source = lua_touserdata(S, -1);
  int index = lua_gettop(S);
  if (source->state == REJECTED) {
    lua_getiuservalue(S, index, UV_REACTIONS);
    lua_getiuservalue(S, index, UV_VALUE);
    halo_trace_set(S, halo_rt(S));
  }
  int n = halo_promise_push_values(S, index);
  if (source->state == REJECTED)
    settle(S, index - 1, REJECTED, 1);
  else
    halo_promise_resolve(S, index - 1, n);
  return 0;
}

/* Calls f with the object on top of scratch in protected mode. [-0, +0, -] */
static void protect_with_object(halo_runtime *rt, lua_CFunction f) {
  lua_State *S = rt->scratch;
  halo_pushknown(S, rt, f);
  lua_pushvalue(S, -2);
  if (lua_pcall(S, 1, 0, 0) != LUA_OK) lua_pop(S, 1);
}

static int too_many_values(lua_State *L) {
  return luaL_error(L, "stack overflow (too many values)");
}

void halo_reaction_run(halo_runtime *rt, int slot) {
  lua_State *S = rt->scratch;
  int top = lua_gettop(S);
  if (!lua_checkstack(S, 30)) abort();
  halo_anchor_push(S, rt, slot);
  halo_anchor_drop(rt, slot);
  reaction_object *r = lua_touserdata(S, -1);
  lua_getiuservalue(S, -1, REACTION_SOURCE);
  halo_promise *source = lua_touserdata(S, -1);
  lua_insert(S, -2); /* source, reaction */
  lua_getiuservalue(
      S, -1, source->state == REJECTED ? REACTION_ERROR : REACTION_VALUE);
  if (r->node.kind == REACT_ADOPT || !lua_isfunction(S, -1)) {
    lua_pop(S, 1);
    protect_with_object(rt, pass_on);
    lua_settop(S, top);
    return;
  }
  lua_insert(S, -2); /* source, function, reaction */
  halo_task *t = job_task(rt, r, ORIGIN_DERIVED);
  lua_pop(S, 1);
  int n = 0;
  if (lua_checkstack(S, source->n + 20))
    n = halo_promise_push_values(S, top + 1);
  else { /* raises what there is no room for */
    lua_pop(S, 1);
    lua_pushcfunction(S, too_many_values);
  }
  halo_task_begin(rt, t, n);
  lua_settop(S, top);
}

/* The __then has raised: that rejects, unless it has resolved before. */
static void then_done(halo_runtime *rt, void *ud, bool failed, int n) {
  halo_task *t = ud;
  lua_State *S = rt->scratch;
  halo_promise *p;
  halo_anchor_push(S, rt, t->then_slot);
  p = lua_touserdata(S, -1);
  lua_pop(S, 1);
  if (!failed || (int)p->pair != t->then_pair) return;
  halo_fixed_push(S, rt, AT_SETTLE);
  halo_anchor_push(S, rt, t->then_slot);
  lua_pushinteger(S, MODE_REJECT);
  lua_pushvalue(S, -3 - n);
  if (lua_pcall(S, 3, 0, 0) != LUA_OK) lua_pop(S, 1);
}

static int push_thenable_call(lua_State *S) {
  lua_getiuservalue(S, 1, REACTION_VALUE);
  lua_getiuservalue(S, 1, REACTION_SOURCE);
  lua_getiuservalue(S, 1, REACTION_DERIVED);
  push_resolving(S, -1);
  lua_remove(S, -3);
  return 4;
}

void halo_adopt_run(halo_runtime *rt, int slot) {
  lua_State *S = rt->scratch;
  int top = lua_gettop(S);
  if (!lua_checkstack(S, 30)) abort();
  halo_anchor_push(S, rt, slot);
  halo_anchor_drop(rt, slot);
  reaction_object *r = lua_touserdata(S, -1);
  if (r->node.kind == REACT_ADOPT)
    protect_with_object(rt, subscribe_job);
  else {
    halo_task *t = job_task(rt, r, ORIGIN_THENABLE);
    t->then_pair = (int)t->promise->pair;
    t->promise = NULL;
    t->then_slot = t->slot; /* the slot is its Task's, if one is asked for */
    t->slot = 0;
    t->done = then_done;
    t->ud = t;
    halo_pushknown(S, rt, push_thenable_call);
    lua_pushvalue(S, -2);
    if (lua_pcall(S, 1, 4, 0) != LUA_OK) abort();
    halo_task_begin(rt, t, 3);
  }
  lua_settop(S, top);
}

/* --- Subscribing --------------------------------------------------------------------------- */

/* Adds the reaction object on top of L to the promise at 'index', or queues
 * it at once if that has settled.                                [-1, +0, m] */
static void subscribe(lua_State *L, int index) {
  halo_runtime *rt = halo_rt(L);
  halo_promise *p = lua_touserdata(L, index);
  reaction_object *r = lua_touserdata(L, -1);
  p->handled = true;
  /* The second brings a table for them all. A finalizer may do anything while
   * it is made: so it is made before anything is looked at. */
  if (p->nreactions == 1)
    lua_createtable(L, 4, 0);
  else
    lua_pushnil(L);
  lua_insert(L, -2); /* table or nil, reaction */
  if (p->state != PENDING) {
    if (r->node.kind == REACT_CALL)
      call_reaction(L, index);
    else
      queue_reaction(L, rt, index);
    lua_pop(L, 1);
    return;
  }
  if (p->nreactions == 0) { /* the first is the value itself */
    r->node.index = 0;
    lua_setiuservalue(L, index, UV_REACTIONS);
    lua_pop(L, 1);
  } else {
    lua_getiuservalue(L, index, UV_REACTIONS);
    if (lua_isuserdata(L, -1)) {
      reaction_object *first = lua_touserdata(L, -1);
      if (lua_isnil(L, -3)) { /* it came by such a finalizer */
        lua_newtable(L);
        lua_replace(L, -4);
      }
      lua_rawseti(L, -3, 1);
      first->node.index = 1;
      lua_pushvalue(L, -2);
      lua_setiuservalue(L, index, UV_REACTIONS);
    } else
      lua_replace(L, -3); /* the table that is there */
    r->node.index = p->nreactions + 1;
    lua_rawseti(L, -2, r->node.index);
    lua_pop(L, 1);
  }
  p->nreactions++;
  link_node(p, &r->node);
}

/* The job of an adoption: 1 is the reaction object. */
static int subscribe_job(lua_State *L) {
  lua_getiuservalue(L, 1, REACTION_SOURCE);
  lua_insert(L, 1);
  subscribe(L, 1);
  return 0;
}

/* What next gives is a Task: while its callback runs that is its task. */
static void new_derived(lua_State *L) {
  halo_object_new(L, &halo_task_class, sizeof(task_object), 2);
}

/* Subscribes the functions at 'on_value' and 'on_error' (0: none) to the
 * promise at 1, and pushes the derived promise. */
static int subscribe_next(lua_State *L, int on_value, int on_error) {
  halo_runtime *rt = halo_rt(L);
  check_promise(L, 1);
  halo_check_open(L, rt);
  luaL_checkstack(L, 10, NULL);
  new_derived(L);
  reaction_object *r = new_reaction(L, halo_context_here(rt));
  r->node.kind = REACT_NEXT;
  if (on_value != 0 && lua_isfunction(L, on_value)) {
    lua_pushvalue(L, on_value);
    lua_setiuservalue(L, -2, REACTION_VALUE);
  }
  if (on_error != 0 && lua_isfunction(L, on_error)) {
    lua_pushvalue(L, on_error);
    lua_setiuservalue(L, -2, REACTION_ERROR);
  }
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, REACTION_DERIVED);
  subscribe(L, 1);
  return 1;
}

/* promise:next(on_value, on_error) -> promise */
static int promise_next(lua_State *L) {
  lua_settop(L, 3);
  return subscribe_next(L, 2, 3);
}

/* promise:catch(on_error) -> promise */
static int promise_catch(lua_State *L) {
  lua_settop(L, 2);
  return subscribe_next(L, 0, 2);
}

/* core.on_settled(promise, fn): fn(promise) is called at once when it
 * settles, outside all tasks; it must not wait. For our own modules. */
static int on_settled(lua_State *L) {
  check_promise(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  reaction_object *r = new_reaction(L, NULL);
  r->node.kind = REACT_CALL;
  lua_insert(L, 2);
  lua_setiuservalue(L, 2, REACTION_VALUE);
  subscribe(L, 1);
  return 0;
}

/* --- Awaiting --------------------------------------------------------------------------------- */

static void unawait(halo_wait *w) {
  halo_task *t = (halo_task *)((char *)w - offsetof(halo_task, own.wait));
  unlink_node(t->own.source, &t->own.reaction);
}

/* Gives the values, or raises the reason, of the settled promise at 1. */
static int answer(lua_State *L, halo_runtime *rt, halo_promise *p) {
  if (p->state == FULFILLED) return halo_promise_push_values(L, 1);
  lua_getiuservalue(L, 1, UV_REACTIONS);
  lua_getiuservalue(L, 1, UV_VALUE);
  halo_trace_set(L, rt);
  lua_getiuservalue(L, 1, UV_VALUE);
  return lua_error(L);
}

/* May a wait that is over already be answered without any ado? Then the
 * running body is in the microtask phase from now on. */
static bool runs_freely(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  const halo_task *t = rt->current;
  if (t == NULL || L != rt->running || t->cancelled || t->frames != NULL ||
      t->pinned != NULL || rt->microtasks.size != 0 || rt->ticks.size != 0 ||
      !lua_isyieldable(L))
    return false;
  rt->in_microtasks = true;
  return true;
}

/* halo.await(promise) -> all its values; raises its reason             (waits) */
static int await(lua_State *L) {
  halo_promise *p = test_promise(L, 1);
  if (p != NULL && p->state == FULFILLED && p->n == 1 && runs_freely(L)) {
    lua_getiuservalue(L, 1, UV_VALUE); /* by far the most frequent */
    return 1;
  }
  if (p == NULL) { /* a thenable is adopted first, as in ECMAScript */
    lua_settop(L, 1);
    luaL_checkany(L, 1);
    if (!push_then(L)) luaL_typeerror(L, 1, "halo.Promise");
    lua_pop(L, 1);
    p = halo_promise_new(L);
    lua_insert(L, 1);
    halo_promise_resolve(L, 1, 1);
  }
  p->handled = true;
  HALO_WAITS(L);
  halo_runtime *rt = halo_rt(L);
  lua_settop(L, 1);
  if (p->state != PENDING && rt->microtasks.size == 0 && rt->ticks.size == 0) {
    rt->in_microtasks = true;
    return answer(L, rt, p);
  }
  halo_task *t = rt->current;
  t->own.source = p;
  t->own.wait = (halo_wait){.cancel = unawait, .what = "await"};
  if (p->state == PENDING) {
    t->own.reaction = (halo_reaction){.kind = REACT_AWAIT, .task = t};
    link_node(p, &t->own.reaction);
    return halo_wait_start(L, &t->own.wait);
  }
  t->at = L;
  t->nvalues = 0;
  t->from_promise = true;
  halo_task_ready(rt, t);
  t->state = TASK_WAITING; /* tells the drain that this is a wait */
  return lua_yieldk(L, 0, 1, halo_waited);
}

/* --- Making ------------------------------------------------------------------------------------ */

/* promise.with_resolvers() -> promise, resolve, reject */
static int with_resolvers(lua_State *L) {
  lua_settop(L, 0);
  halo_promise_new(L);
  push_resolving(L, 1);
  return 3;
}

/* promise.resolve(...) -> promise: one promise is given back as it is */
static int promise_resolve(lua_State *L) {
  int n = lua_gettop(L);
  if (n == 1 && test_promise(L, 1) != NULL) return 1;
  halo_promise_new(L);
  lua_insert(L, 1);
  halo_promise_resolve(L, 1, n);
  return 1;
}

/* promise.reject(err) -> promise */
static int promise_reject(lua_State *L) {
  lua_settop(L, 1);
  halo_promise_new(L);
  lua_insert(L, 1);
  settle(L, 1, REJECTED, 1);
  return 1;
}

/* promise:status() -> "pending" | "fulfilled" | "rejected" */
static int promise_status(lua_State *L) {
  static const char *const names[] = {"pending", "fulfilled", "rejected"};
  lua_pushstring(L, names[check_promise(L, 1)->state]);
  return 1;
}

static int promise_tostring(lua_State *L) {
  promise_status(L);
  lua_pushfstring(L, "Promise (%s): %p", lua_tostring(L, -1),
                  lua_topointer(L, 1));
  return 1;
}

/* core.is_promise(v) -> boolean */
static int is_promise(lua_State *L) {
  lua_pushboolean(L, test_promise(L, 1) != NULL);
  return 1;
}

/* core.was_canceled(task) -> boolean: it ended by its own cancellation */
static int was_canceled(lua_State *L) {
  lua_pushboolean(L, check_promise(L, 1)->canceled);
  return 1;
}

/* core.rethrow(promise): raises the reason of a rejected promise, now */
static int rethrow(lua_State *L) {
  halo_promise *p = check_promise(L, 1);
  p->handled = true;
  return p->state == REJECTED ? answer(L, halo_rt(L), p) : 0;
}

/* core.mark_handled(promise): somebody looks after its rejection */
static int mark_handled(lua_State *L) {
  check_promise(L, 1)->handled = true;
  return 0;
}

/* --- Rejections that nobody handles ------------------------------------------------------------- */

static void rejection_done(halo_runtime *rt, void *ud, bool failed, int n) {
  bool *dealt = ud;
  lua_State *S = rt->scratch;
  *dealt = !failed && (n == 0 || lua_toboolean(S, -n));
  if (failed) {
    lua_pushvalue(S, -1);
    halo_uncaught(rt, S, NULL);
    *dealt = true;
  }
}

/* One rejection: the process's event, else it is an uncaught error. The
 * promise is on top of scratch.                                  [-1, +0, -] */
static void run_rejection(halo_runtime *rt) {
  lua_State *S = rt->scratch;
  int index = lua_gettop(S);
  if (halo_hook_push(S, rt, "unhandled_rejection")) {
    bool dealt = true; /* also when it waits */
    lua_getiuservalue(S, index, UV_VALUE);
    lua_pushvalue(S, index);
    halo_task *t = halo_callback(rt, 2, NULL, NULL, rejection_done, &dealt);
    if (t != NULL) t->done = NULL;
    if (dealt) {
      lua_settop(S, index - 1);
      return;
    }
  }
  lua_getiuservalue(S, index, UV_REACTIONS);
  lua_getiuservalue(S, index, UV_VALUE);
  halo_trace_set(S, rt);
  lua_getiuservalue(S, index, UV_VALUE);
  halo_uncaught(rt, S, NULL);
  lua_settop(S, index - 1);
}

bool halo_rejections_run(halo_runtime *rt) {
  lua_State *S = rt->scratch;
  size_t n = rt->nrejections;
  if (!lua_checkstack(S, 20)) abort();
  size_t i = 1;
  for (; i <= n && !rt->stopped; i++) {
    halo_fixed_push(S, rt, AT_REJECTIONS);
    lua_rawgeti(S, -1, (lua_Integer)i);
    halo_promise *p = lua_touserdata(S, -1);
    lua_pushboolean(S, 0);
    lua_rawseti(S, -3, (lua_Integer)i);
    lua_remove(S, -2);
    if (p == NULL || p->handled)
      lua_pop(S, 1);
    else
      run_rejection(rt);
  }
  /* What is left (stopped), or has come meanwhile, moves to the front. */
  halo_fixed_push(S, rt, AT_REJECTIONS);
  size_t left = rt->nrejections - (i - 1);
  for (size_t k = 1; k <= left; k++) {
    lua_rawgeti(S, -1, (lua_Integer)i - 1 + (lua_Integer)k);
    lua_rawseti(S, -2, (lua_Integer)k);
  }
  lua_pop(S, 1);
  rt->nrejections = left;
  return rt->nrejections > 0 || rt->ticks.size > 0 || rt->microtasks.size > 0;
}

/* --- Classes --------------------------------------------------------------------------------------- */

static int reaction_gc(lua_State *L) {
  reaction_object *r = lua_touserdata(L, 1);
  halo_context_drop(halo_rt(L), r->context);
  r->context = NULL;
  return 0;
}

static const luaL_Reg reaction_meta[] = {{"__gc", reaction_gc}, {NULL, NULL}};
static const halo_class reaction_context_class = {"halo.reaction", NULL, NULL,
                                                  reaction_meta};

static const luaL_Reg promise_methods[] = {{"next", promise_next},
                                           {"catch", promise_catch},
                                           {"await", await},
                                           {"status", promise_status},
                                           {NULL, NULL}};
static const luaL_Reg promise_meta[] = {{"__tostring", promise_tostring},
                                        {NULL, NULL}};
const halo_class halo_promise_class = {"halo.Promise", NULL, promise_methods,
                                       promise_meta};

/* core.promise_methods -> the table of methods, for those written in Lua */
static void push_methods(lua_State *L, const halo_class *class) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, class);
  lua_getfield(L, -1, "__index");
  lua_replace(L, -2);
}

int halo_open_promise(lua_State *L) {
  static const luaL_Reg funcs[] = {{"await", await},
                                   {"with_resolvers", with_resolvers},
                                   {"resolve", promise_resolve},
                                   {"reject", promise_reject},
                                   {"is_promise", is_promise},
                                   {"on_settled", on_settled},
                                   {"mark_handled", mark_handled},
                                   {"was_canceled", was_canceled},
                                   {"rethrow", rethrow},
                                   {NULL, NULL}};
  halo_class_register(L, &halo_promise_class);
  halo_class_register(L, &reaction_class);
  halo_class_register(L, &reaction_context_class);
  halo_setfuncs(L, funcs);
  push_methods(L, &halo_promise_class);
  lua_setfield(L, -2, "promise_methods");
  push_methods(L, &halo_task_class);
  lua_setfield(L, -2, "task_methods");
  return 0;
}
