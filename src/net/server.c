/* Servers: listening sockets, polled. Accepting is our own, not libuv's, which
 * closes the clients that wait when descriptors run out. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"

enum {
  BATCH = 16, /* connections taken before the loop's other business */
  PAUSE = 100 /* ms without accepting, when descriptors have run out */
};

/* A task in server:accept(). */
typedef struct accepting accepting;
struct accepting {
  halo_wait wait;
  net_server *server;
  accepting *next, *prev;
};

struct net_server {
  halo_runtime *rt;
  halo_resource resource;
  uv_poll_t poll;
  halo_calltimer pause;
  struct server_object *object; /* NULL: dropped */
  int slot;                     /* keeps the object, which has an acceptor */
  halo_acceptor *acceptor;      /* the object's user value; or NULL */
  accepting *first, *last;
  char *buffer;
  char *path; /* the Unix socket's file, ours to remove */
  dev_t dev;
  ino_t ino;
  int fd;
  unsigned connections, most; /* 0: any number */
  bool is_unix : 1;
  bool polling : 1;
  bool unref : 1; /* the user's wish */
  bool closed : 1;
  bool freed : 1; /* libuv has let go of it */
};

typedef struct server_object {
  const halo_class *class;
  net_server *server; /* NULL: closed */
} server_object;

/* --- Whether to accept ---------------------------------------------------- */

static bool wants(const net_server *v) {
  return !v->closed && (v->acceptor != NULL || v->first != NULL) &&
         (v->most == 0 || v->connections < v->most) &&
         !halo_timer_is_set(&v->pause);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Polls or not, and keeps the process up or not. */
static void update(net_server *v) {
  if (v->closed) return;
  bool on = wants(v);
  if (on != v->polling) {
    v->polling = on;
    if (on)
      uv_poll_start(&v->poll, UV_READABLE, on_poll);
    else
      uv_poll_stop(&v->poll);
  }
  bool ref = !v->unref && (v->acceptor != NULL || v->first != NULL);
  v->resource.unref = !ref;
  v->pause.node.unref = !ref;
  if (ref)
    uv_ref((uv_handle_t *)&v->poll);
  else
    uv_unref((uv_handle_t *)&v->poll);
}

static void on_pause(halo_runtime *rt, halo_calltimer *t) {
  (void)rt;
  update((net_server *)((char *)t - offsetof(net_server, pause)));
}

/* --- Accepting ------------------------------------------------------------ */

/* A new connection's socket; NULL: none now, which *rc tells more of. */
static net_socket *take(net_server *v, int *rc) {
  int fd;
  *rc = 0;
  do {
    fd = accept4(v->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED ||
                      errno == EPROTO || errno == EPERM));
  if (fd < 0) {
    *rc = uv_translate_sys_error(errno);
    if (*rc != UV_EAGAIN) halo_timer_set(v->rt, &v->pause, PAUSE);
    return NULL;
  }
  net_socket *s = net_socket_new(v->rt, v->buffer, v->is_unix);
  if (s == NULL) {
    close(fd);
    return NULL;
  }
  if (net_socket_open(s, fd) < 0) {
    close(fd);
    net_socket_close(s);
    return NULL;
  }
  s->server = v;
  v->connections++;
  return s;
}

static int push_socket(lua_State *L) {
  halo_stream_push(L, lua_touserdata(L, 1));
  return 1;
}

static void remove_accepting(accepting *a) {
  net_server *v = a->server;
  if (a->prev != NULL)
    a->prev->next = a->next;
  else
    v->first = a->next;
  if (a->next != NULL)
    a->next->prev = a->prev;
  else
    v->last = a->prev;
}

/* Hands the connection to whoever takes it. */
static void deliver(net_server *v, net_socket *s) {
  halo_runtime *rt = v->rt;
  if (v->acceptor != NULL) {
    v->acceptor->accept(v->acceptor, &s->stream);
  } else {
    accepting *a = v->first;
    remove_accepting(a);
    int n = halo_protect(rt, push_socket, &s->stream);
    if (n == 2) net_socket_close(s); /* nil, err: out of memory */
    halo_wait_finish(rt, &a->wait, n);
    free(a);
  }
  halo_drain(rt);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  net_server *v = poll->data;
  (void)status, (void)events;
  for (int i = 0; i < BATCH && wants(v); i++) {
    int rc;
    net_socket *s = take(v, &rc);
    if (s != NULL)
      deliver(v, s);
    else if (rc < 0)
      break;
  }
  update(v);
}

/* --- Lifecycle ------------------------------------------------------------ */

static void release(net_server *v) {
  if (!v->freed || v->connections > 0) return;
  free(v->path);
  free(v);
}

static void on_closed(uv_handle_t *handle) {
  net_server *v = handle->data;
  v->freed = true;
  release(v);
}

void net_server_forget(net_server *v) {
  v->connections--;
  if (v->closed)
    release(v);
  else
    update(v);
}

static int push_canceled(lua_State *L) {
  return halo_fail(L, UV_ECANCELED, "accept", NULL);
}

/* Removes the file, unless it is another's by now. */
static void unlink_path(const net_server *v) {
  struct stat st;
  if (v->path != NULL && lstat(v->path, &st) == 0 && st.st_dev == v->dev &&
      st.st_ino == v->ino)
    unlink(v->path);
}

static void server_close(net_server *v) {
  halo_runtime *rt = v->rt;
  if (v->closed) return;
  v->closed = true;
  halo_resource_remove(&v->resource);
  if (v->object != NULL) v->object->server = NULL;
  unlink_path(v);
  uv_close((uv_handle_t *)&v->poll, on_closed);
  close(v->fd);
  if (halo_closing(rt)) return;
  halo_timer_clear(rt, &v->pause);
  while (v->first != NULL) {
    accepting *a = v->first;
    remove_accepting(a);
    int n = halo_protect(rt, push_canceled, NULL);
    halo_wait_finish(rt, &a->wait, n);
    free(a);
  }
  halo_anchor_drop(rt, v->slot);
}

static net_server *of_resource(halo_resource *r) {
  return (net_server *)((char *)r - offsetof(net_server, resource));
}

static void close_resource(halo_resource *r) { server_close(of_resource(r)); }

static void describe(halo_resource *r, char *text, size_t size) {
  net_address a;
  socklen_t length;
  if (net_address_of(of_resource(r)->fd, false, &a, &length) == 0)
    net_address_text(&a, length, text, size);
}

/* --- Listening ------------------------------------------------------------ */

/* Opens, binds and listens; gives the descriptor or a negative status, and
 * names the call that failed. */
static int listen_on(const net_address *a, socklen_t length, int backlog,
                     bool reuse_port, const char **syscall) {
  int on = 1, off = 0, family = a->any.sa_family;
  *syscall = "socket";
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  *syscall = "setsockopt";
  int rc = 0;
  if (family != AF_UNIX) {
    rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* What is accepted inherits it. */
    if (rc == 0) rc = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (rc == 0 && family == AF_INET6)
    rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (rc == 0 && reuse_port)
    rc = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (rc == 0) {
    *syscall = "bind";
    rc = bind(fd, &a->any, length);
  }
  if (rc == 0) {
    *syscall = "listen";
    rc = listen(fd, backlog);
  }
  if (rc == 0) return fd;
  rc = uv_translate_sys_error(errno);
  close(fd);
  return rc;
}

/* Removes the file of a Unix socket where nobody listens any more. */
static bool unlink_stale(const net_address *a, socklen_t length) {
  struct stat st;
  if (lstat(a->un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) return false;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  int refused = connect(fd, &a->any, length) < 0 && errno == ECONNREFUSED;
  close(fd);
  return refused && unlink(a->un.sun_path) == 0;
}

static int listen_path(const net_address *a, socklen_t length, int backlog,
                       const char **syscall) {
  int fd = listen_on(a, length, backlog, false, syscall);
  if (fd == UV_EADDRINUSE && unlink_stale(a, length))
    fd = listen_on(a, length, backlog, false, syscall);
  return fd;
}

static const halo_class server_class;

/* Pushes the server of the listening descriptor, which it owns; the acceptor,
 * or nil, is on top.                                         [-1, +1, m] */
static net_server *push_server(lua_State *L, int fd, bool is_unix) {
  halo_runtime *rt = halo_rt(L);
  server_object *o = halo_object_new(L, &server_class, sizeof *o, 1);
  lua_insert(L, -2);
  halo_acceptor *acceptor = lua_touserdata(L, -1);
  lua_setiuservalue(L, -2, 1);
  char *buffer = halo_stream_buffer(L);
  net_server *v = calloc(1, sizeof *v);
  int rc = v == NULL ? UV_ENOMEM : uv_poll_init(halo_loop(rt), &v->poll, fd);
  if (rc < 0) {
    free(v);
    return NULL;
  }
  v->rt = rt;
  v->poll.data = v;
  v->pause.fire = on_pause;
  v->object = o;
  v->acceptor = acceptor;
  v->buffer = buffer;
  v->fd = fd;
  v->is_unix = is_unix;
  v->resource.describe = describe;
  o->server = v;
  halo_resource_add(rt, &v->resource, is_unix ? "unix server" : "tcp server",
                    close_resource);
  return v;
}

/* Remembers the file that bind has made. */
static void set_path(net_server *v, const char *path) {
  struct stat st;
  if (lstat(path, &st) < 0) return;
  v->path = strdup(path);
  v->dev = st.st_dev;
  v->ino = st.st_ino;
}

/* core.listen(ip | nil, port, path | nil, backlog, reuse_port, most,
 *             handler | acceptor | nil) -> server | nil, err
 * Without ip and path: all addresses. */
int net_listen(lua_State *L) {
  const char *ip = luaL_optstring(L, 1, NULL);
  int port = (int)luaL_optinteger(L, 2, 0);
  size_t size;
  const char *path = luaL_optlstring(L, 3, NULL, &size);
  int backlog = (int)luaL_checkinteger(L, 4);
  bool reuse_port = lua_toboolean(L, 5);
  lua_Integer most = luaL_optinteger(L, 6, 0);
  const char *syscall = "bind";
  net_address a;
  socklen_t length = sizeof a.in6;
  int fd;
  if (lua_isnoneornil(L, 7))
    lua_settop(L, 6), lua_pushnil(L);
  else
    halo_acceptor_push(L, 7);
  if (path != NULL) {
    fd = net_address_path(&a, path, size, &length);
    if (fd < 0) return halo_fail(L, fd, "bind", path);
    fd = listen_path(&a, length, backlog, &syscall);
  } else {
    fd = net_address_ip(&a, ip != NULL ? ip : "::", port);
    if (fd < 0) return halo_fail(L, fd, "bind", ip);
    if (a.any.sa_family == AF_INET) length = sizeof a.in;
    fd = listen_on(&a, length, backlog, reuse_port, &syscall);
    if (ip == NULL && (fd == UV_EAFNOSUPPORT || fd == UV_EADDRNOTAVAIL)) {
      net_address_ip(&a, "0.0.0.0", port);
      length = sizeof a.in;
      fd = listen_on(&a, length, backlog, reuse_port, &syscall);
    }
  }
  if (fd < 0) return net_fail(L, fd, syscall, &a, length, NULL);
  net_server *v = push_server(L, fd, path != NULL);
  if (v == NULL) {
    close(fd);
    return net_fail(L, UV_ENOMEM, "listen", &a, length, NULL);
  }
  v->most = (unsigned)most;
  if (path != NULL) set_path(v, path);
  if (v->acceptor != NULL) {
    lua_pushvalue(L, -1);
    v->slot = halo_anchor(L, v->rt);
  }
  update(v);
  return 1;
}

/* --- Methods -------------------------------------------------------------- */

static net_server *check_server(lua_State *L) {
  server_object *o = halo_object_check(L, 1, &server_class);
  return o->server;
}

static void cancel_accept(halo_wait *w) {
  accepting *a = (accepting *)w;
  remove_accepting(a);
  update(a->server);
  free(a);
}

/* server:accept() -> socket | nil, err                              (waits) */
static int server_accept(lua_State *L) {
  net_server *v = check_server(L);
  luaL_argcheck(L, v == NULL || v->acceptor == NULL, 1,
                "the server has a handler");
  HALO_WAITS(L);
  if (v == NULL) return halo_fail(L, UV_EBADF, "accept", NULL);
  if (v->first == NULL && (v->most == 0 || v->connections < v->most) &&
      !halo_timer_is_set(&v->pause)) {
    int rc;
    net_socket *s = take(v, &rc);
    if (s != NULL) {
      halo_stream_push(L, &s->stream);
      return halo_wait_at_once(v->rt) ? 1 : halo_wait_turn(L, 1);
    }
  }
  accepting *a = malloc(sizeof *a);
  if (a == NULL) return halo_fail(L, UV_ENOMEM, "accept", NULL);
  *a = (accepting){.wait = {.cancel = cancel_accept, .what = "accept"},
                   .server = v,
                   .prev = v->last};
  if (v->last != NULL)
    v->last->next = a;
  else
    v->first = a;
  v->last = a;
  update(v);
  return halo_wait_start(L, &a->wait);
}

/* server:address() -> {address=, port=, family=} | {path=} | nil, err */
static int server_address(lua_State *L) {
  net_server *v = check_server(L);
  net_address a;
  socklen_t length;
  int rc = v == NULL ? UV_EBADF : net_address_of(v->fd, false, &a, &length);
  if (rc < 0) return halo_fail(L, rc, "getsockname", NULL);
  net_address_push(L, &a, length);
  return 1;
}

/* server:connections() -> n: those it has accepted that are open */
static int server_connections(lua_State *L) {
  net_server *v = check_server(L);
  lua_pushinteger(L, v != NULL ? (lua_Integer)v->connections : 0);
  return 1;
}

static int set_unref(lua_State *L, bool unref) {
  net_server *v = check_server(L);
  if (v != NULL) {
    v->unref = unref;
    update(v);
  }
  lua_settop(L, 1);
  return 1;
}

/* server:ref() -> server: it keeps the process up, as at first */
static int server_ref(lua_State *L) { return set_unref(L, false); }

/* server:unref() -> server: it does not */
static int server_unref(lua_State *L) { return set_unref(L, true); }

/* server:close() -> true
 * Accepts nothing more; the connections go on. */
static int server_end(lua_State *L) {
  net_server *v = check_server(L);
  if (v != NULL) server_close(v);
  lua_pushboolean(L, 1);
  return 1;
}

static int server_gc(lua_State *L) {
  server_object *o = lua_touserdata(L, 1);
  if (o->server == NULL) return 0;
  o->server->object = NULL;
  server_close(o->server);
  o->server = NULL;
  return 0;
}

static const luaL_Reg server_methods[] = {{"accept", server_accept},
                                          {"address", server_address},
                                          {"close", server_end},
                                          {"connections", server_connections},
                                          {"ref", server_ref},
                                          {"unref", server_unref},
                                          {NULL, NULL}};
static const luaL_Reg server_meta[] = {
    {"__close", server_end}, {"__gc", server_gc}, {NULL, NULL}};
static const halo_class server_class = {"halo.net.Server", NULL, server_methods,
                                        server_meta};

void net_server_register(lua_State *L) {
  halo_class_register(L, &server_class);
}
