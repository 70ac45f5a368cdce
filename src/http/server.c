/* The server: options, the acceptor that takes streams, stopping. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "http/http.h"

typedef struct acceptor {
  halo_acceptor base;
  http_server *server;
} acceptor;

struct http_stopper {
  halo_wait wait;
  http_server *server;
  http_stopper *next;
  halo_calltimer timer;
};

/* --- Its end -------------------------------------------------------------- */

static int push_true(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

static void remove_stopper(http_stopper *p) {
  http_stopper **at = &p->server->stoppers;
  while (*at != p) at = &(*at)->next;
  *at = p->next;
  halo_timer_clear(p->server->rt, &p->timer);
  free(p);
}

static void wake_stopper(http_stopper *p) {
  halo_runtime *rt = p->server->rt;
  int n = halo_protect(rt, push_true, NULL);
  halo_wait_finish(rt, &p->wait, n);
  remove_stopper(p);
}

void http_server_check(http_server *s) {
  if (s->active.first == NULL && !halo_closing(s->rt))
    while (s->stoppers != NULL) wake_stopper(s->stoppers);
  if (!s->dropped || s->connections > 0) return;
  halo_anchor_drop(s->rt, s->slot);
  halo_site_drop(s->site);
  halo_context_drop(s->rt, s->context);
  free(s);
}

/* Ends the connections of a list and cancels their handlers, but for the one
 * that calls. */
static void close_all(http_list *list) {
  while (list->first != NULL) {
    http_connection *c = list->first;
    http_exchange *x = c->exchange;
    halo_task *t = x != NULL ? x->task : NULL;
    if (t != NULL && t != halo_current(c->server->rt)) {
      x->task = NULL;
      halo_task_cancel(t);
    }
    http_close(c, UV_ECANCELED);
  }
}

static void close_idle(http_server *s) {
  http_connection *next;
  for (http_connection *c = s->idle.first; c != NULL; c = next) {
    next = c->next;
    if (c->phase == PHASE_IDLE) http_close(c, 0);
  }
}

static acceptor *check_acceptor(lua_State *L);

/* acceptor:close(): ends all its connections and cancels their handlers */
static int acceptor_close(lua_State *L) {
  http_server *s = check_acceptor(L)->server;
  if (s == NULL) return 0; /* collected: a finalizer calls */
  s->stopping = true;
  close_all(&s->idle);
  close_all(&s->active);
  return 0;
}

static int acceptor_gc(lua_State *L) {
  acceptor *a = lua_touserdata(L, 1);
  http_server *s = a->server;
  if (s == NULL) return 0;
  a->server = NULL;
  s->stopping = true;
  s->dropped = true;
  http_server_check(s);
  return 0;
}

static void cancel_stop(halo_wait *w) { remove_stopper((http_stopper *)w); }

static void on_grace_over(halo_runtime *rt, halo_calltimer *t) {
  (void)rt;
  wake_stopper((http_stopper *)((char *)t - offsetof(http_stopper, timer)));
}

/* acceptor:stop(grace) -> true                                      (waits)
 * Keeps no connection alive; returns when all requests have been answered, or
 * when the time is up. */
static int acceptor_stop(lua_State *L) {
  http_server *s = check_acceptor(L)->server;
  uint64_t ms = halo_check_ms(L, 2);
  if (s == NULL) return push_true(L);
  HALO_WAITS(L);
  s->stopping = true;
  close_idle(s);
  if (s->active.first == NULL || ms == 0) return push_true(L);
  http_stopper *p = calloc(1, sizeof *p);
  if (p == NULL) return luaL_error(L, "not enough memory");
  p->wait.cancel = cancel_stop;
  p->wait.what = "server stop";
  p->server = s;
  p->timer.fire = on_grace_over;
  p->next = s->stoppers;
  s->stoppers = p;
  halo_timer_set(s->rt, &p->timer, ms);
  return halo_wait_start(L, &p->wait);
}

/* acceptor:connections() -> n */
static int acceptor_connections(lua_State *L) {
  http_server *s = check_acceptor(L)->server;
  lua_pushinteger(L, s != NULL ? s->connections : 0);
  return 1;
}

/* acceptor:unref(on): whether idle connections keep the process up */
static int acceptor_unref(lua_State *L) {
  http_server *s = check_acceptor(L)->server;
  if (s == NULL) return 0;
  s->unref = lua_toboolean(L, 2);
  for (http_connection *c = s->idle.first; c != NULL; c = c->next)
    c->stream->ops->ref(c->stream, !s->unref);
  for (http_connection *c = s->active.first; c != NULL; c = c->next)
    c->stream->ops->ref(c->stream, true);
  return 0;
}

static const luaL_Reg acceptor_methods[] = {
    {"close", acceptor_close},
    {"connections", acceptor_connections},
    {"stop", acceptor_stop},
    {"unref", acceptor_unref},
    {NULL, NULL}};
static const luaL_Reg acceptor_meta[] = {{"__gc", acceptor_gc}, {NULL, NULL}};
static const halo_class acceptor_class = {"halo.http.Acceptor",
                                          &halo_acceptor_class,
                                          acceptor_methods, acceptor_meta};

static acceptor *check_acceptor(lua_State *L) {
  return halo_object_check(L, 1, &acceptor_class);
}

/* --- Making one ----------------------------------------------------------- */

static void accept_stream(halo_acceptor *base, halo_stream *stream) {
  http_accept(((acceptor *)base)->server, stream);
}

static uint64_t integer_option(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  lua_Integer n = luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  return n > 0 ? (uint64_t)n : 0;
}

/* Seconds; false: no limit. */
static uint64_t time_option(lua_State *L, const char *name) {
  uint64_t ms = 0;
  lua_getfield(L, 1, name);
  if (lua_toboolean(L, -1)) {
    ms = halo_check_ms(L, lua_gettop(L));
    if (ms == 0) ms = 1;
  }
  lua_pop(L, 1);
  return ms;
}

static void read_options(lua_State *L, http_server *s) {
  s->headers_timeout = time_option(L, "headers_timeout");
  s->request_timeout = time_option(L, "request_timeout");
  s->body_timeout = time_option(L, "body_timeout");
  s->keep_alive_timeout = time_option(L, "keep_alive_timeout");
  s->write_timeout = time_option(L, "write_timeout");
  s->max_body = integer_option(L, "max_body");
  s->max_connections = (unsigned)integer_option(L, "max_connections");
  s->limits = (halo_http_limits){
      .target = integer_option(L, "max_target"),
      .head = integer_option(L, "max_header_size"),
      .trailers = integer_option(L, "max_trailer_size"),
      .extension = integer_option(L, "max_chunk_extension"),
      .extensions = integer_option(L, "max_chunk_extensions"),
      .fields = (unsigned)integer_option(L, "max_headers")};
}

/* Pushes the function that starts a handler; see http_dispatch. */
static void push_dispatch(lua_State *L, int handler) {
  halo_runtime_open(L);
  lua_pushvalue(L, handler);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &http_request_class);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &http_response_class);
  lua_pushcclosure(L, http_dispatch, 4);
}

static const char state_key = 0;

/* core.http.server(options, handler) -> acceptor
 * All options must be there, checked. */
static int server_new(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  http_state *st = lua_touserdata(L, -1);
  acceptor *a = halo_object_new(L, &acceptor_class, sizeof *a, 0);
  http_server options = {.state = st, .rt = rt};
  read_options(L, &options);
  push_dispatch(L, 2);
  http_server *s = malloc(sizeof *s);
  if (s == NULL) return luaL_error(L, "not enough memory");
  *s = options;
  a->base.accept = accept_stream;
  a->server = s;
  s->slot = halo_anchor(L, rt);
  s->site = halo_site_here(L);
  s->context = halo_context_here(rt);
  return 1;
}

/* --- The module ----------------------------------------------------------- */

/* core.http.descriptors() -> n: so many connections leave some descriptors
 * for everything else */
static int descriptors(lua_State *L) {
  struct rlimit limit;
  lua_Integer n = 65536;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1 << 24)
    n = (lua_Integer)limit.rlim_cur;
  lua_pushinteger(L, n > 256 ? n - n / 8 : n > 64 ? n - 32 : n / 2 + 1);
  return 1;
}

static int state_gc(lua_State *L) {
  http_state *st = lua_touserdata(L, 1);
  http_exchange_free_spare(st);
  st->nspare = HTTP_SPARE; /* no more of them */
  http_buffer_free(&st->gathered);
  http_buffer_free(&st->side);
  return 0;
}

static const luaL_Reg state_meta[] = {{"__gc", state_gc}, {NULL, NULL}};
static const halo_class state_class = {"halo.http.state", NULL, NULL,
                                       state_meta};

static void make_state(lua_State *L) {
  halo_class_register(L, &state_class);
  http_state *st = halo_object_new(L, &state_class, sizeof *st, 0);
  st->rt = halo_rt(L);
  halo_reader_init(&st->empty, st->rt, NULL);
  halo_reader_end(&st->empty, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
}

int halo_http_open(lua_State *L) {
  static const luaL_Reg funcs[] = {{"server", server_new},
                                   {"descriptors", descriptors},
                                   {"parse_query", http_parse_query},
                                   {NULL, NULL}};
  make_state(L);
  halo_class_register(L, &acceptor_class);
  http_headers_register(L);
  lua_newtable(L);
  halo_setfuncs(L, funcs);
  http_response_register(L);
  lua_setfield(L, -2, "response");
  http_request_register(L);
  lua_setfield(L, -3, "getters");
  lua_setfield(L, -2, "request");
  return 1;
}
