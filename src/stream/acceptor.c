/* Acceptors: who takes the streams of a server. */
#include <stdlib.h>

#include "stream/object.h"
#include "stream/stream.h"

const halo_class halo_acceptor_class = {"halo.stream.Acceptor", NULL, NULL,
                                        NULL};

/* A Lua function, which is its user value. */
typedef struct handler {
  halo_acceptor acceptor;
  halo_runtime *rt;
  struct halo_site *site;
  struct halo_context *context;
} handler;

/* Weak table: a handler's address -> the handler. Whoever uses it anchors it,
 * so that a handler and its server may refer to each other. */
static const char handlers_key = 0;

static int handler_gc(lua_State *L) {
  handler *h = lua_touserdata(L, 1);
  halo_site_drop(h->site);
  if (h->rt != NULL) halo_context_drop(h->rt, h->context);
  h->site = NULL;
  h->context = NULL;
  return 0;
}

static const luaL_Reg handler_meta[] = {{"__gc", handler_gc}, {NULL, NULL}};
static const halo_class handler_class = {
    "halo.stream.Handler", &halo_acceptor_class, NULL, handler_meta};

/* --- A connection --------------------------------------------------------- */

typedef struct arrival {
  handler *handler;
  halo_stream *stream;
  halo_streamobject *object;
} arrival;

/* Pushes the function and its argument.                       [-0, +2, m] */
static int push_arrival(lua_State *L) {
  arrival *a = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handlers_key);
  lua_rawgetp(L, -1, a->handler);
  lua_getiuservalue(L, -1, 1);
  halo_stream_push(L, a->stream);
  a->object = lua_touserdata(L, -1);
  lua_pushvalue(L, -1);
  a->object->slot = halo_anchor(L, a->handler->rt);
  return 2;
}

static void report(halo_runtime *rt, struct halo_site *site) {
  lua_State *S = halo_scratch(rt);
  if (halo_error_is(S, -1, "ECANCELED")) return;
  lua_pushvalue(S, -1);
  halo_report(rt, S, site);
}

/* The handler has ended, and with it the connection. */
static void handled(halo_runtime *rt, void *ud, bool failed, int n) {
  halo_streamobject *o = ud;
  struct halo_site *site = o->site;
  int slot = o->slot;
  o->site = NULL;
  o->slot = 0;
  if (failed && n > 0) report(rt, site);
  halo_streamobject_close(o);
  halo_site_drop(site);
  halo_anchor_drop(rt, slot); /* last: it kept 'o' */
}

static void handle(halo_acceptor *acceptor, halo_stream *s) {
  handler *h = (handler *)acceptor;
  halo_runtime *rt = h->rt;
  lua_State *S = halo_scratch(rt);
  arrival a = {h, s, NULL};
  int n = halo_protect(rt, push_arrival, &a);
  if (n == 2 && a.object != NULL) {
    a.object->site = halo_site_keep(h->site);
    halo_callback(rt, 1, h->site, h->context, handled, a.object);
    return;
  }
  if (n == 2) halo_report(rt, S, h->site), n = 1; /* out of memory */
  lua_pop(S, n);
  s->ops->close(s);
}

/* --- Making one ------------------------------------------------------------ */

halo_acceptor *halo_acceptor_push(lua_State *L, int index) {
  halo_acceptor *a = halo_object_test(L, index, &halo_acceptor_class);
  if (a != NULL) {
    lua_pushvalue(L, index);
    return a;
  }
  luaL_checktype(L, index, LUA_TFUNCTION);
  index = lua_absindex(L, index);
  handler *h = halo_object_new(L, &handler_class, sizeof *h, 1);
  h->acceptor.accept = handle;
  h->rt = halo_rt(L);
  h->site = halo_site_here(L);
  h->context = halo_context_here(h->rt);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &handlers_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, h);
  lua_pop(L, 1);
  return &h->acceptor;
}

void halo_acceptor_register(lua_State *L) {
  halo_class_register(L, &halo_acceptor_class);
  halo_class_register(L, &handler_class);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &handlers_key);
}
