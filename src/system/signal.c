/* Signals: watchers that a task waits on, and ones that call a function.
 *
 * A watcher that is waited on keeps the process up; one with a function does
 * not, as in Node. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/halo.h"

/* --- Names -------------------------------------------------------------------- */

static const struct signal_name {
  const char *name;
  int number;
} names[] = {
    {"SIGHUP", SIGHUP},       {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT},
    {"SIGILL", SIGILL},       {"SIGTRAP", SIGTRAP}, {"SIGABRT", SIGABRT},
    {"SIGBUS", SIGBUS},       {"SIGFPE", SIGFPE},   {"SIGKILL", SIGKILL},
    {"SIGUSR1", SIGUSR1},     {"SIGSEGV", SIGSEGV}, {"SIGUSR2", SIGUSR2},
    {"SIGPIPE", SIGPIPE},     {"SIGALRM", SIGALRM}, {"SIGTERM", SIGTERM},
    {"SIGCHLD", SIGCHLD},     {"SIGCONT", SIGCONT}, {"SIGSTOP", SIGSTOP},
    {"SIGTSTP", SIGTSTP},     {"SIGTTIN", SIGTTIN}, {"SIGTTOU", SIGTTOU},
    {"SIGURG", SIGURG},       {"SIGXCPU", SIGXCPU}, {"SIGXFSZ", SIGXFSZ},
    {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF}, {"SIGWINCH", SIGWINCH},
    {"SIGIO", SIGIO},         {"SIGSYS", SIGSYS},   {NULL, 0}};

/* The signal named by the argument at 'index'; raises on one that is unknown
 * or cannot be handled.                                      [-0, +0, v] */
static int check_signal(lua_State *L, int index) {
  const char *name = luaL_checkstring(L, index);
  for (const struct signal_name *s = names; s->name != NULL; s++)
    if (strcmp(s->name, name) == 0) {
      if (s->number == SIGKILL || s->number == SIGSTOP)
        luaL_argerror(L, index, "this signal cannot be handled");
      return s->number;
    }
  return luaL_argerror(L, index,
                       lua_pushfstring(L, "unknown signal '%s'", name));
}

static const char *name_of(int number) {
  for (const struct signal_name *s = names; s->name != NULL; s++)
    if (s->number == number) return s->name;
  return "signal";
}

/* --- Watchers ------------------------------------------------------------------- */

enum { PENDING_MAX = 64 };

/* Freed when libuv has let go of its last handle. */
typedef struct watcher {
  halo_resource resource;
  halo_wait wait;
  halo_runtime *rt;
  int slot; /* the function to be called; 0: tasks wait */
  struct halo_site *site;
  struct halo_context *context;
  int npending; /* signals that nobody has waited for yet */
  int pending[PENDING_MAX];
  struct watcher **box; /* the userdata's pointer to us */
  int nhandles, nopen;
  uv_signal_t handles[];
} watcher;

typedef struct signals {
  const halo_class *class;
  watcher *watcher; /* NULL: closed */
} signals;

static void set_ref(const watcher *w, bool ref) {
  for (int i = 0; i < w->nhandles; i++) {
    uv_handle_t *handle = (uv_handle_t *)&w->handles[i];
    if (ref)
      uv_ref(handle);
    else
      uv_unref(handle);
  }
}

static void on_closed(uv_handle_t *handle) {
  watcher *w = handle->data;
  if (--w->nopen == 0) free(w);
}

/* close(), __close, __gc and the shutdown end here. */
static void close_watcher(watcher *w) {
  if (w->box == NULL) return;
  *w->box = NULL;
  w->box = NULL;
  halo_resource_remove(&w->resource);
  halo_anchor_drop(w->rt, w->slot);
  halo_site_drop(w->site);
  halo_context_drop(w->rt, w->context);
  for (int i = 0; i < w->nhandles; i++)
    uv_close((uv_handle_t *)&w->handles[i], on_closed);
}

static watcher *watcher_of(halo_resource *r) { return (watcher *)r; }

static void close_resource(halo_resource *r) { close_watcher(watcher_of(r)); }

static void describe(halo_resource *r, char *text, size_t size) {
  const watcher *w = watcher_of(r);
  *text = '\0';
  for (int i = 0; i < w->nhandles; i++) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", i == 0 ? "" : " ",
             name_of(w->handles[i].signum));
  }
}

static int push_name(lua_State *L) {
  const int *number = lua_touserdata(L, 1);
  lua_pushstring(L, name_of(*number));
  return 1;
}

static void call_listener(watcher *w, int number) {
  lua_State *S = halo_scratch(w->rt);
  halo_anchor_push(S, w->rt, w->slot);
  int n = halo_protect(w->rt, push_name, &number);
  if (n != 1) { /* no memory for a name */
    lua_pop(S, n + 1);
    return;
  }
  halo_callback(w->rt, 1, w->site, w->context, NULL, NULL);
}

static void on_signal(uv_signal_t *handle, int number) {
  watcher *w = handle->data;
  halo_runtime *rt = w->rt;
  if (w->slot != 0)
    call_listener(w, number);
  else if (w->wait.task != NULL) {
    set_ref(w, false);
    halo_wait_finish(rt, &w->wait, halo_protect(rt, push_name, &number));
  } else if (w->npending < PENDING_MAX)
    w->pending[w->npending++] = number;
  halo_drain(rt);
}

static const halo_class signals_class;

/* Pushes a watcher of the signals named from argument 'first' on.
 *                                                            [-0, +1, v] */
static watcher *new_watcher(lua_State *L, int first, int last) {
  halo_runtime *rt = halo_rt(L);
  int n = last - first + 1;
  for (int i = first; i <= last; i++) check_signal(L, i);
  signals *s = halo_object_new(L, &signals_class, sizeof *s, 0);
  watcher *w = calloc(1, sizeof *w + (size_t)n * sizeof w->handles[0]);
  if (w == NULL) luaL_error(L, "not enough memory");
  w->rt = rt;
  w->nhandles = w->nopen = n;
  w->resource.unref = true;
  w->resource.describe = describe;
  for (int i = 0; i < n; i++) {
    uv_signal_init(halo_loop(rt), &w->handles[i]);
    w->handles[i].data = w;
  }
  set_ref(w, false);
  s->watcher = w;
  w->box = &s->watcher;
  halo_resource_add(rt, &w->resource, "signal", close_resource);
  for (int i = 0; i < n; i++) {
    int rc =
        uv_signal_start(&w->handles[i], on_signal, check_signal(L, first + i));
    if (rc < 0) {
      close_watcher(w);
      luaL_error(L, "cannot handle %s: %s", lua_tostring(L, first + i),
                 uv_strerror(rc));
    }
  }
  return w;
}

/* signals(name, …) -> watcher */
static int signals_new(lua_State *L) {
  luaL_checkstring(L, 1);
  new_watcher(L, 1, lua_gettop(L));
  return 1;
}

/* on_signal(name, fn) -> watcher: calls fn(name), does not keep us up */
static int signals_on(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  watcher *w = new_watcher(L, 1, 1);
  w->site = halo_site_here(L);
  w->context = halo_context_here(w->rt);
  lua_pushvalue(L, 2);
  w->slot = halo_anchor(L, w->rt);
  return 1;
}

static void cancel_wait(halo_wait *wait) {
  watcher *w = (watcher *)((char *)wait - offsetof(watcher, wait));
  set_ref(w, false);
}

/* watcher:next() -> the name of the next signal; nil when closed       (waits) */
static int signals_next(lua_State *L) {
  signals *s = halo_object_check(L, 1, &signals_class);
  lua_settop(L, 1);
  HALO_WAITS(L);
  watcher *w = s->watcher;
  if (w == NULL) return 0;
  if (w->npending > 0) {
    lua_pushstring(L, name_of(w->pending[0]));
    memmove(w->pending, w->pending + 1,
            (size_t)--w->npending * sizeof w->pending[0]);
    return 1;
  }
  if (w->wait.task != NULL)
    return luaL_error(L, "another task waits for these signals");
  w->wait = (halo_wait){.cancel = cancel_wait, .what = "signal"};
  set_ref(w, true);
  return halo_wait_start(L, &w->wait);
}

/* watcher:close(): who waits gets nil */
static int signals_close(lua_State *L) {
  signals *s = halo_object_check(L, 1, &signals_class);
  watcher *w = s->watcher;
  if (w == NULL) return 0;
  if (w->wait.task != NULL) halo_wait_finish(w->rt, &w->wait, 0);
  close_watcher(w);
  return 0;
}

static int signals_gc(lua_State *L) {
  signals *s = lua_touserdata(L, 1);
  watcher *w = s->watcher;
  if (w == NULL || halo_closing(w->rt)) return 0;
  close_watcher(w);
  return 0;
}

static const luaL_Reg signals_methods[] = {
    {"next", signals_next}, {"close", signals_close}, {NULL, NULL}};
static const luaL_Reg signals_meta[] = {
    {"__gc", signals_gc}, {"__close", signals_close}, {NULL, NULL}};
static const halo_class signals_class = {"halo.process.Signals", NULL,
                                         signals_methods, signals_meta};

/* --- The room ------------------------------------------------------------------------ */

int halo_system_open(lua_State *L);

int halo_system_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"signals", signals_new}, {"on_signal", signals_on}, {NULL, NULL}};
  halo_class_register(L, &signals_class);
  lua_newtable(L);
  halo_setfuncs(L, functions);
  lua_pushinteger(L, uv_os_getpid());
  lua_setfield(L, -2, "pid");
  return 1;
}
