/* The runtime: opening, anchors, running the loop, the end of it all. */
#include "core/runtime.h"

#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"

static const char runtime_key = 0; /* its place in the registry */

void *halo_alloc(void *p, size_t size) {
  p = realloc(p, size);
  if (p == NULL) {
    fputs("halo: not enough memory\n", stderr);
    abort();
  }
  return p;
}

/* --- Opening ------------------------------------------------------------------ */

uv_loop_t *halo_loop(halo_runtime *rt) {
  if (!rt->loop_open) {
    rt->loop = halo_alloc(NULL, sizeof *rt->loop);
    int rc = uv_loop_init(rt->loop);
    if (rc < 0) {
      fprintf(stderr, "halo: cannot open the event loop: %s\n",
              uv_strerror(rc));
      abort();
    }
    rt->loop->data = rt;
    rt->loop_open = true;
  }
  return rt->loop;
}

lua_State *halo_scratch(halo_runtime *rt) { return rt->scratch; }
bool halo_closing(const halo_runtime *rt) { return rt->closing; }
halo_task *halo_current(const halo_runtime *rt) { return rt->current; }

void halo_fixed_push(lua_State *L, halo_runtime *rt, int at) {
  lua_pushvalue(rt->store, at);
  lua_xmove(rt->store, L, 1);
}

void halo_check_open(lua_State *L, halo_runtime *rt) {
  if (rt->closing) luaL_error(L, "the runtime is closed");
}

/* Made once for each function: callbacks push theirs for every event. */
void halo_pushfunction(lua_State *L, halo_runtime *rt, lua_CFunction f) {
  const void *key;
  memcpy(&key, &f, sizeof key);
  halo_fixed_push(L, rt, AT_FUNCTIONS);
  if (lua_rawgetp(L, -1, key) == LUA_TNIL) {
    lua_pop(L, 1);
    halo_fixed_push(L, rt, AT_RUNTIME);
    lua_pushcclosure(L, f, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, key);
  }
  lua_replace(L, -2);
}

static int runtime_gc(lua_State *L);

static const luaL_Reg runtime_meta[] = {{"__gc", runtime_gc}, {NULL, NULL}};
static const halo_class runtime_class = {"halo.runtime", NULL, NULL,
                                         runtime_meta};

/* Fills the fixed places. */
static void fill_store(lua_State *L, halo_runtime *rt) {
  lua_State *S = rt->store;
  luaL_checkstack(S, 100, NULL);
  lua_newtable(S);
  for (int i = AT_BASE; i < AT_LAST; i++) lua_pushnil(S);
  lua_pushvalue(L, -1); /* the runtime's userdata */
  lua_xmove(L, S, 1);
  static const struct {
    int at;
    lua_CFunction f;
  } closures[] = {{AT_BASE, halo_task_base},
                  {AT_HANDLER, halo_handler},
                  {AT_SETTLE, halo_settle}};
  for (int i = 0; i < 3; i++) {
    lua_pushvalue(S, AT_RUNTIME);
    lua_pushcclosure(S, closures[i].f, 1);
    lua_replace(S, closures[i].at);
  }
  for (int i = AT_REJECTIONS; i <= AT_BUSY; i++) {
    if (i == AT_RAISED || i == AT_TRACE) continue;
    lua_newtable(S);
    if (i == AT_BUSY || i == AT_NAMES) {
      lua_createtable(S, 0, 1);
      lua_pushliteral(S, "k");
      lua_setfield(S, -2, "__mode");
      lua_setmetatable(S, -2);
    }
    lua_replace(S, i);
  }
}

halo_runtime *halo_runtime_open(lua_State *L) {
  luaL_checkstack(L, 10, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_key) == LUA_TUSERDATA)
    return lua_touserdata(L, -1);
  lua_pop(L, 1);
  halo_runtime *rt = lua_newuserdatauv(L, sizeof *rt, 0);
  memset(rt, 0, sizeof *rt);
  rt->class = &runtime_class;
  rt->started_at = uv_hrtime();
  rt->sites_limit = SITES_SWEPT;
  rt->tasks.next = rt->tasks.prev = &rt->tasks;
  rt->resources.next = rt->resources.prev = &rt->resources;
  rt->idlers.next = rt->idlers.prev = &rt->idlers;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_key);
  rt->store = lua_newthread(L);
  luaL_ref(L, LUA_REGISTRYINDEX); /* for ever */
  rt->scratch = lua_newthread(L);
  luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_checkstack(rt->scratch, 100, NULL);
  fill_store(L, rt);
  halo_class_register(L, &runtime_class); /* from here on __gc ends it */
  lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_class);
  lua_setmetatable(L, -2);
  return rt;
}

/* --- Anchors -------------------------------------------------------------------- */

int halo_slot_take(halo_runtime *rt) {
  if (rt->nfree > 0) return rt->free_slots[--rt->nfree];
  if (rt->nslots == rt->slots_size) { /* so that a drop never allocates */
    rt->slots_size = rt->slots_size < 32 ? 64 : rt->slots_size * 2;
    rt->free_slots =
        halo_alloc(rt->free_slots, (size_t)rt->slots_size * sizeof(int));
  }
  return ++rt->nslots;
}

int halo_anchor(lua_State *L, halo_runtime *rt) {
  int slot = halo_slot_take(rt);
  halo_fixed_push(L, rt, AT_ANCHORS);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
  return slot;
}

void halo_anchor_push(lua_State *L, halo_runtime *rt, int slot) {
  lua_rawgeti(rt->store, AT_ANCHORS, slot);
  lua_xmove(rt->store, L, 1);
}

/* 'false', not nil, so that the array part never shrinks under us. */
void halo_anchor_drop(halo_runtime *rt, int slot) {
  if (slot == 0 || rt->free_slots == NULL) return;
  if (!rt->closing) {
    lua_pushboolean(rt->store, 0);
    lua_rawseti(rt->store, AT_ANCHORS, slot);
  }
  rt->free_slots[rt->nfree++] = slot;
}

typedef struct known {
  halo_runtime *rt;
  lua_CFunction f;
} known;

static int make_known(lua_State *S) {
  known *k = lua_touserdata(S, 1);
  halo_pushfunction(S, k->rt, k->f);
  return 1;
}

void halo_pushknown(lua_State *S, halo_runtime *rt, lua_CFunction f) {
  known k = {rt, f};
  lua_pushcfunction(S, make_known); /* allocates nothing */
  lua_pushlightuserdata(S, &k);
  rt->protecting++;
  if (lua_pcall(S, 1, 1, 0) != LUA_OK) abort();
  rt->protecting--;
}

int halo_protect(halo_runtime *rt, lua_CFunction f, void *ud) {
  if (rt->closing) return 0;
  lua_State *S = rt->scratch;
  int top = lua_gettop(S);
  if (!lua_checkstack(S, 20)) abort();
  rt->protecting++;
  halo_pushknown(S, rt, f);
  lua_pushlightuserdata(S, ud);
  int status = lua_pcall(S, 1, LUA_MULTRET, 0);
  rt->protecting--;
  if (status != LUA_OK) {
    lua_pushnil(S);
    lua_insert(S, -2);
  }
  return lua_gettop(S) - top;
}

/* --- The base of every task -------------------------------------------------------
 * Stack: the message handler, the function, its arguments. The function runs
 * under a protected call of the coroutine's own, so that <close> variables
 * may wait while an error unwinds. */

static int base_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status != LUA_OK && status != LUA_YIELD) {
    halo_rt(L)->current->failing = true;
    return 1;
  }
  return lua_gettop(L) - 1;
}

int halo_task_base(lua_State *L) {
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, base_ended);
  return base_ended(L, status, 0);
}

/* --- Tasks in halo.run ------------------------------------------------------------------
 * They wait until nothing else is left; so a time limit around them does not
 * keep the loop alive meanwhile. */

static void set_limits_ref(halo_task *t, bool ref) {
  for (halo_frame *f = t->frames; f != NULL; f = f->outer)
    halo_timer_set_ref(t->rt, &f->timer.node, ref);
}

static void enter_idlers(halo_runtime *rt, halo_task *t) {
  halo_timer *node = &t->own.node;
  node->prev = rt->idlers.prev;
  node->next = &rt->idlers;
  node->prev->next = node;
  rt->idlers.prev = node;
  set_limits_ref(t, false);
}

static void leave_idlers(halo_task *t) {
  halo_timer *node = &t->own.node;
  node->prev->next = node->next;
  node->next->prev = node->prev;
  set_limits_ref(t, true);
}

/* --- Running the loop from outside ---------------------------------------------------- */

static bool loop_alive(halo_runtime *rt) {
  return rt->loop_open && uv_loop_alive(rt->loop);
}

void halo_loop_stop(halo_runtime *rt) {
  if (rt->running_loop > 0) uv_stop(rt->loop);
}

static void run_loop(halo_runtime *rt) {
  rt->running_loop++;
  uv_run(rt->loop, UV_RUN_DEFAULT);
  rt->running_loop--;
}

/* Lets one task that waits in halo.run go on, since nothing else is left. */
static bool wake_idler(halo_runtime *rt) {
  halo_timer *node = rt->idlers.next;
  if (node == &rt->idlers) return false;
  halo_task *t = (halo_task *)((char *)node - offsetof(halo_task, own.node));
  leave_idlers(t);
  halo_wait_finish(rt, &t->own.wait, 0);
  return true;
}

/* Runs whatever there is to do until nothing is left, or the loop is stopped,
 * or *over turns true (NULL: never). */
static void run_all(halo_runtime *rt, const bool *over) {
  for (;;) {
    halo_drain(rt);
    if (rt->stopped || (over != NULL && *over)) return;
    if (loop_alive(rt))
      run_loop(rt);
    else if (!wake_idler(rt))
      return;
  }
}

typedef struct outside {
  lua_State *L;
  bool ended, failed, all;
  bool over; /* the loop need not go on */
} outside;

static void outside_done(halo_runtime *rt, void *ud, bool failed, int n) {
  outside *o = ud;
  o->ended = true;
  o->failed = failed;
  o->over = failed || !o->all;
  if (lua_checkstack(o->L, n + 10))
    lua_xmove(rt->scratch, o->L, n);
  else {
    lua_pushliteral(o->L, "stack overflow (too many results)");
    o->failed = true;
  }
  if (o->over) halo_loop_stop(rt);
}

/* Raises what ended the loop, if anything did. */
static void raise_fatal(lua_State *L, halo_runtime *rt) {
  if (rt->fatal_slot == 0) return;
  int slot = rt->fatal_slot;
  rt->fatal_slot = 0;
  rt->stopped = false;
  luaL_checkstack(L, 5, NULL);
  halo_anchor_push(L, rt, slot);
  halo_anchor_drop(rt, slot);
  lua_error(L);
}

int halo_run_outside(lua_State *L, int nargs, bool all) {
  halo_runtime *rt = halo_runtime_open(L);
  lua_pop(L, 1);
  if (rt->closing) return luaL_error(L, "the runtime is closed");
  if (rt->running_loop > 0 || rt->draining || halo_in_finalizer(L))
    return halo_cannot_wait(L, L);
  raise_fatal(L, rt);
  outside o = {.L = L, .all = all};
  int top = lua_gettop(L) - nargs - 1;
  if (!lua_checkstack(rt->scratch, nargs + 20))
    return luaL_error(L, "too many arguments");
  lua_xmove(L, rt->scratch, nargs + 1);
  halo_site *site = halo_site_here(L);
  halo_task *t = halo_callback(rt, nargs, site, rt->context, outside_done, &o);
  halo_site_drop(site);
  run_all(rt, &o.over);
  if (!o.ended) { /* t is alive: it must forget o */
    t->done = NULL;
    t->ud = NULL;
    halo_task_cancel(t); /* the call is over: so is what it waited for */
    raise_fatal(L, rt);
    halo_drain(rt);
    raise_fatal(L, rt);
    halo_error_push(L, "EDEADLK", "nothing is left that could end this wait");
    return lua_error(L);
  }
  raise_fatal(L, rt);
  if (o.failed) return lua_error(L);
  return lua_gettop(L) - top;
}

int halo_wait_outside(lua_State *L) {
  lua_Debug ar;
  luaL_checkstack(L, 5, "too many arguments");
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_insert(L, 1);
  return halo_run_outside(L, lua_gettop(L) - 1, false);
}

/* halo.run([fn, ...]) -> fn's results                          (waits)
 * Runs the loop until nothing is left to do. In a task: calls fn, then waits
 * until nothing else is left. */
static int idle_k(lua_State *L, int n, lua_KContext ctx) {
  lua_pop(L, n);
  return lua_gettop(L) - (int)ctx;
}

static void idle_cancel(halo_wait *w) {
  leave_idlers((halo_task *)((char *)w - offsetof(halo_task, own.wait)));
}

static int run_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  halo_runtime *rt = halo_rt(L);
  halo_wait_check(L);
  halo_task *t = rt->current;
  t->own.wait = (halo_wait){.cancel = idle_cancel, .what = "halo.run"};
  enter_idlers(rt, t);
  return halo_wait_startk(L, &t->own.wait, ctx, idle_k);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

static int run(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  if (!lua_isnoneornil(L, 1)) halo_check_callable(L, 1);
  if (rt->current == NULL) {
    if (lua_gettop(L) == 0 || lua_isnil(L, 1)) {
      lua_settop(L, 0);
      lua_pushcfunction(L, nothing);
    }
    return halo_run_outside(L, lua_gettop(L) - 1, true);
  }
  halo_wait_check(L);
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    return run_ended(L, LUA_OK, 0);
  }
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, run_ended);
  return run_ended(L, LUA_OK, 0);
}

/* --- The command's main ------------------------------------------------------------------ */

typedef struct main_task {
  bool ended, failed;
} main_task;

static void main_done(halo_runtime *rt, void *ud, bool failed, int n) {
  main_task *m = ud;
  m->ended = true;
  m->failed = failed;
  if (failed && n > 0) {
    lua_pushvalue(rt->scratch, -1);
    halo_uncaught(rt, rt->scratch, NULL);
  }
}

static bool call_hook(halo_runtime *rt, const char *name);

int halo_main(lua_State *L, int nargs) {
  halo_runtime *rt = halo_runtime_open(L);
  lua_pop(L, 1);
  main_task m = {false, false};
  rt->commanded = true;
  lua_xmove(L, rt->scratch, nargs + 1);
  halo_task *t = halo_callback(rt, nargs, NULL, NULL, main_done, &m);
  for (;;) {
    run_all(rt, NULL);
    if (rt->stopped || !m.ended) break;
    if (!call_hook(rt, "before_exit")) break;
    halo_drain(rt);
    if (rt->stopped || !loop_alive(rt)) break;
  }
  if (!m.ended && !rt->stopped) {
    t->done = NULL;
    lua_State *S = rt->scratch;
    fputs("halo: the main chunk still waits, but nothing is left that could "
          "wake it\n",
          stderr);
    if (t->at != NULL) {
      luaL_traceback(S, t->at, NULL, 0);
      fprintf(stderr, "%s\n", lua_tostring(S, -1));
      lua_pop(S, 1);
    }
    rt->exit_code = 13;
  } else if (!m.ended)
    t->done = NULL;
  if (!rt->exiting) call_hook(rt, "exit");
  if (rt->exiting && !rt->exit_close) halo_exit(rt->exit_code);
  return rt->exit_code;
}

/* --- Hooks: what halo.process hangs its events on ------------------------------------------ */

bool halo_hook_push(lua_State *S, halo_runtime *rt, const char *name) {
  halo_fixed_push(S, rt, AT_HOOKS);
  int type = lua_getfield(S, -1, name); /* the table has no metatable */
  lua_remove(S, -2);
  if (type == LUA_TFUNCTION) return true;
  lua_pop(S, 1);
  return false;
}

/* Runs the hook 'name' as a callback, if there is one; tells whether there
 * was. Its argument is the exit code. */
static bool call_hook(halo_runtime *rt, const char *name) {
  lua_State *S = rt->scratch;
  if (!halo_hook_push(S, rt, name)) return false;
  lua_pushinteger(S, rt->exit_code);
  bool stopped = rt->stopped;
  rt->stopped = false; /* an exit hook runs after an uncaught error, too */
  halo_callback(rt, 1, NULL, NULL, NULL, NULL);
  halo_drain(rt);
  rt->stopped = rt->stopped || stopped;
  return true;
}

/* core.set_hook(name, fn): "uncaught_error" and "unhandled_rejection" get
 * (error, promise) and return true if they have dealt with it;
 * "before_exit" and "exit" get the exit code. */
static int set_hook(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 2);
  halo_fixed_push(L, rt, AT_HOOKS);
  lua_insert(L, 1);
  lua_rawset(L, 1);
  return 0;
}

/* core.exit_code([code]) -> the exit code, after setting it if given */
static int exit_code(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  if (!lua_isnoneornil(L, 1)) rt->exit_code = (int)luaL_checkinteger(L, 1);
  lua_pushinteger(L, rt->exit_code);
  return 1;
}

/* --- os.exit ----------------------------------------------------------------------------------
 * In a task the state cannot be closed under the running code: the loop is
 * stopped, the task never goes on, and the command's main ends the process. */

/* os.exit([code [, close]]) */
static int exit_process(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  int code = EXIT_SUCCESS;
  if (lua_isboolean(L, 1))
    code = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else
    code = (int)luaL_optinteger(L, 1, rt->exit_code);
  rt->exit_code = code;
  halo_task *t = rt->current;
  if (t == NULL || !lua_isyieldable(L) || L != rt->running ||
      t->pinned != NULL || !rt->commanded) {
    if (lua_toboolean(L, 2) && t == NULL) lua_close(L);
    halo_exit(code);
  }
  rt->exiting = true;
  rt->exit_close = lua_toboolean(L, 2);
  rt->stopped = true;
  halo_loop_stop(rt);
  t->own.wait = (halo_wait){.what = "os.exit"}; /* nothing ends it */
  return halo_wait_start(L, &t->own.wait);
}

void halo_install_exit(lua_State *L) {
  halo_runtime *rt = halo_runtime_open(L);
  lua_pop(L, 1);
  lua_getglobal(L, LUA_OSLIBNAME);
  halo_pushfunction(L, rt, exit_process);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}

/* --- The end ----------------------------------------------------------------------------------- */

static void close_stray(uv_handle_t *handle, void *ud) {
  (void)ud;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Runs the loop until libuv has let go of all, or of all but jobs on the pool
 * that do not end within a tenth of a second: those cannot be waited for. */
static void run_dry(halo_runtime *rt) {
  enum { TRIES = 10, MS = 10 };
  for (int i = 0; i < TRIES; i++) {
    for (int k = 0; k < 10 && uv_run(rt->loop, UV_RUN_NOWAIT) != 0; k++)
      continue;
    if (!uv_loop_alive(rt->loop)) return;
    struct pollfd p = {.fd = uv_backend_fd(rt->loop), .events = POLLIN};
    poll(&p, 1, MS);
  }
}

/* Every wait is stopped, every resource closed, the loop run dry: after that
 * libuv holds nothing of ours. Nothing reaches Lua any more. */
static void shut_down(halo_runtime *rt) {
  rt->closing = true;
  for (halo_task *t = rt->tasks.next; t != &rt->tasks; t = t->next) {
    halo_wait *w = t->wait;
    t->wait = NULL;
    if (w == NULL || w->task == NULL) continue;
    w->task = NULL;
    if (w != &t->own.wait && w->cancel != NULL) w->cancel(w);
  }
  while (rt->resources.next != &rt->resources) {
    halo_resource *r = rt->resources.next;
    r->close(r);
    halo_resource_remove(r);
  }
  halo_timers_close(rt);
  if (!rt->loop_open) return;
  run_dry(rt);
  if (rt->running_loop > 0) return; /* os.exit in a task: the process ends */
  uv_walk(rt->loop, close_stray, NULL);
  run_dry(rt);
  if (uv_loop_close(rt->loop) != 0) return; /* a pool thread uses it yet */
  free(rt->loop);
  rt->loop = NULL;
  rt->loop_open = false;
}

static int runtime_gc(lua_State *L) {
  halo_runtime *rt = lua_touserdata(L, 1);
  if (rt->closing) return 0;
  shut_down(rt);
  halo_task_drop_all(rt);
  halo_timers_free(rt);
  for (int i = 0; i < SITE_BUCKETS; i++)
    while (rt->sites[i] != NULL) {
      halo_site *s = rt->sites[i];
      rt->sites[i] = s->next;
      free(s);
    }
  for (size_t i = 0; i < rt->microtasks.size; i++) { /* never begun */
    halo_queue *q = &rt->microtasks;
    halo_entry *e = &q->entries[(q->head + i) & q->mask];
    if (e->kind != ENTRY_SPAWN) continue;
    task_object *o = e->p;
    halo_context_drop(rt, o->context);
    o->context = NULL;
  }
  free(rt->ticks.entries);
  free(rt->microtasks.entries);
  free(rt->free_slots);
  rt->nfree = rt->nslots = rt->slots_size = 0;
  rt->free_slots = NULL;
  rt->ticks.entries = rt->microtasks.entries = NULL;
  return 0;
}

/* --- The module's table ------------------------------------------------------------------------- */

int halo_open_core(lua_State *L) {
  static const luaL_Reg funcs[] = {{"run", run},
                                   {"set_hook", set_hook},
                                   {"exit_code", exit_code},
                                   {NULL, NULL}};
  lua_newtable(L);
  halo_setfuncs(L, funcs);
  halo_open_error(L);
  halo_open_task(L);
  halo_open_wait(L);
  halo_open_frame(L);
  halo_open_promise(L);
  halo_open_timers(L);
  halo_open_trace(L);
  halo_open_coroutine(L);
  halo_open_context(L);
  halo_open_resource(L);
  halo_open_buffer(L);
  lua_pushliteral(L, HALO_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
