/* TCP and Unix sockets: what the files of this folder share. */
#ifndef HALO_NET_NET_H
#define HALO_NET_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "stream/stream.h"

typedef struct net_server net_server;
typedef struct outgoing outgoing; /* bytes that wait to leave */

typedef struct net_socket {
  halo_stream stream;
  halo_resource resource;
  char *buffer;       /* the runtime's read buffer */
  net_server *server; /* who accepted it, and counts it; or NULL */
  outgoing *sending;  /* libuv's now; NULL: nothing is queued */
  outgoing *pending;  /* what is to follow in one go; or NULL */
  int fd;             /* -1: not connected yet */
  bool is_unix : 1;
  bool reading : 1;
  bool ended : 1;   /* nothing more will be read */
  bool ending : 1;  /* the writing side ends once the queue is empty */
  bool shut : 1;    /* it has ended */
  bool closing : 1; /* libuv has yet to let go of it */
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
} net_socket;

/* --- socket.c ------------------------------------------------------------- */

extern const halo_class net_socket_class;

/* A socket without a descriptor; NULL: no memory. 'buffer' is the runtime's
 * (halo_stream_buffer). */
net_socket *net_socket_new(halo_runtime *rt, char *buffer, bool is_unix);
/* Takes the connected descriptor, or gives an error and leaves it alone. */
int net_socket_open(net_socket *s, int fd);
/* libuv has connected it: it can be used. */
void net_socket_connected(net_socket *s);
void net_socket_close(net_socket *s);
void net_socket_register(lua_State *L);

/* --- address.c ------------------------------------------------------------ */

typedef union net_address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
  struct sockaddr_storage storage;
} net_address;

/* Parses an IP literal.                                          0 or < 0 */
int net_address_ip(net_address *a, const char *ip, int port);
/* Fills in a path; UV_ENAMETOOLONG where it does not fit. */
int net_address_path(net_address *a, const char *path, size_t size,
                     socklen_t *length);
/* Pushes {address=, port=, family=} or {path=}. An IPv4 address mapped into
 * IPv6 is the IPv4 address.                                  [-0, +1, m] */
void net_address_push(lua_State *L, const net_address *a, socklen_t length);
/* Writes it as text, as "127.0.0.1:80" or "[::1]:80". */
void net_address_text(const net_address *a, socklen_t length, char *text,
                      size_t size);
/* The address of this end (or the other) of the socket. */
int net_address_of(int fd, bool remote, net_address *a, socklen_t *length);
/* nil and the error 'rc' of a call about the address, with the fields address
 * and port, or path; 'stage' may be NULL.                    [-0, +2, m] */
int net_fail(lua_State *L, int rc, const char *syscall, const net_address *a,
             socklen_t length, const char *stage);

/* --- server.c ------------------------------------------------------------- */

/* A connection of the server's has ended. */
void net_server_forget(net_server *v);
int net_listen(lua_State *L); /* Lua functions */
void net_server_register(lua_State *L);

/* --- connect.c, resolve.c ------------------------------------------------- */

int net_connect(lua_State *L);
int net_connect_unix(lua_State *L);
int net_resolve(lua_State *L);

/* --- net.c ---------------------------------------------------------------- */

/* Opens the binding: pushes its table.                       [-0, +1, m] */
int halo_net_open(lua_State *L);

#endif
