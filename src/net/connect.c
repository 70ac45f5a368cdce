/* Connecting to one address. Which addresses a name has, and in which order
 * they are tried, is decided in Lua. */
#include <stdlib.h>

#include "net/net.h"

typedef struct connecting {
  halo_wait wait;
  halo_runtime *rt;
  net_socket *socket; /* NULL: given up */
  halo_calltimer timer;
  uv_connect_t req;
  net_address address;
  socklen_t length;
  int status;
} connecting;

static connecting *of_timer(halo_calltimer *t) {
  return (connecting *)((char *)t - offsetof(connecting, timer));
}

/* Gives up; libuv calls on_connect yet, which frees the record. */
static void give_up(connecting *c) {
  net_socket *s = c->socket;
  c->socket = NULL;
  if (!halo_closing(c->rt)) halo_timer_clear(c->rt, &c->timer);
  net_socket_close(s);
}

static void cancel_connect(halo_wait *w) { give_up((connecting *)w); }

static int push_failure(lua_State *L) {
  connecting *c = lua_touserdata(L, 1);
  return net_fail(L, c->status, "connect", &c->address, c->length, "connect");
}

static int push_connected(lua_State *L) {
  connecting *c = lua_touserdata(L, 1);
  halo_stream_push(L, &c->socket->stream);
  return 1;
}

static void on_timeout(halo_runtime *rt, halo_calltimer *t) {
  connecting *c = of_timer(t);
  c->status = UV_ETIMEDOUT;
  int n = halo_protect(rt, push_failure, c);
  halo_wait_finish(rt, &c->wait, n);
  give_up(c);
}

static void on_connect(uv_connect_t *req, int status) {
  connecting *c = req->data;
  halo_runtime *rt = c->rt;
  net_socket *s = c->socket;
  if (s != NULL && !s->closing) {
    halo_timer_clear(rt, &c->timer);
    c->status = status;
    if (status == 0) net_socket_connected(s);
    int n = halo_protect(rt, status == 0 ? push_connected : push_failure, c);
    if (n != 1) net_socket_close(s);
    halo_wait_finish(rt, &c->wait, n);
  }
  free(c);
  halo_drain(rt);
}

/* The record, with its socket; NULL: no memory. */
static connecting *new_connecting(lua_State *L, bool is_unix) {
  halo_runtime *rt = halo_rt(L);
  char *buffer = halo_stream_buffer(L);
  connecting *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->rt = rt;
  c->wait = (halo_wait){.cancel = cancel_connect, .what = "connect"};
  c->req.data = c;
  c->timer.fire = on_timeout;
  c->socket = net_socket_new(rt, buffer, is_unix);
  if (c->socket != NULL) return c;
  free(c);
  return NULL;
}

static int fail(lua_State *L, connecting *c, int rc, const char *syscall) {
  net_socket_close(c->socket);
  int n = net_fail(L, rc, syscall, &c->address, c->length, "connect");
  free(c);
  return n;
}

static int start(lua_State *L, connecting *c, uint64_t ms) {
  if (ms > 0) halo_timer_set(c->rt, &c->timer, ms);
  return halo_wait_start(L, &c->wait);
}

/* The time in seconds at 'index' as ms; nil: 0, which is none. */
static uint64_t opt_ms(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return 0;
  uint64_t ms = halo_check_ms(L, index);
  return ms > 0 ? ms : 1;
}

/* core.connect(ip, port, timeout | nil, no_delay, keep_alive,
 *              local_ip | nil, local_port) -> socket | nil, err      (waits)
 * keep_alive in seconds, 0 for none. */
int net_connect(lua_State *L) {
  const char *ip = luaL_checkstring(L, 1);
  int port = (int)luaL_checkinteger(L, 2);
  uint64_t ms = opt_ms(L, 3);
  bool no_delay = lua_toboolean(L, 4);
  unsigned keep_alive = (unsigned)luaL_optinteger(L, 5, 0);
  const char *local_ip = luaL_optstring(L, 6, NULL);
  int local_port = (int)luaL_optinteger(L, 7, 0);
  net_address address, local;
  int rc = net_address_ip(&address, ip, port);
  luaL_argcheck(L, rc == 0, 1, "not an IP address");
  if (local_ip != NULL)
    luaL_argcheck(L, net_address_ip(&local, local_ip, local_port) == 0, 6,
                  "not an IP address");
  HALO_WAITS(L);
  connecting *c = new_connecting(L, false);
  if (c == NULL) return halo_fail(L, UV_ENOMEM, "connect", NULL);
  uv_tcp_t *tcp = &c->socket->uv.tcp;
  c->address = address;
  c->length =
      address.any.sa_family == AF_INET ? sizeof address.in : sizeof address.in6;
  if (no_delay) uv_tcp_nodelay(tcp, 1);
  if (local_ip != NULL) {
    rc = uv_tcp_bind(tcp, &local.any, 0);
    if (rc < 0) return fail(L, c, rc, "bind");
  }
  rc = uv_tcp_connect(&c->req, tcp, &address.any, on_connect);
  if (rc < 0) return fail(L, c, rc, "connect");
  if (keep_alive > 0) uv_tcp_keepalive(tcp, 1, keep_alive);
  return start(L, c, ms);
}

/* core.connect_unix(path, timeout | nil) -> socket | nil, err        (waits) */
int net_connect_unix(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  uint64_t ms = opt_ms(L, 2);
  net_address address;
  socklen_t length;
  HALO_WAITS(L);
  int rc = net_address_path(&address, path, size, &length);
  if (rc < 0) return halo_fail(L, rc, "connect", path);
  connecting *c = new_connecting(L, true);
  if (c == NULL) return halo_fail(L, UV_ENOMEM, "connect", path);
  c->address = address;
  c->length = length;
  uv_pipe_connect(&c->req, &c->socket->uv.pipe, path, on_connect);
  return start(L, c, ms);
}
