/* Addresses of sockets, to and from Lua. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"

int net_address_ip(net_address *a, const char *ip, int port) {
  memset(a, 0, sizeof *a);
  if (uv_ip4_addr(ip, port, &a->in) == 0) return 0;
  return uv_ip6_addr(ip, port, &a->in6);
}

int net_address_path(net_address *a, const char *path, size_t size,
                     socklen_t *length) {
  memset(a, 0, sizeof *a);
  if (size >= sizeof a->un.sun_path) return UV_ENAMETOOLONG;
  a->un.sun_family = AF_UNIX;
  memcpy(a->un.sun_path, path, size);
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
  return 0;
}

int net_address_of(int fd, bool remote, net_address *a, socklen_t *length) {
  memset(a, 0, sizeof *a);
  *length = sizeof a->storage;
  int rc = remote ? getpeername(fd, &a->any, length)
                  : getsockname(fd, &a->any, length);
  return rc == 0 ? 0 : uv_translate_sys_error(errno);
}

/* The IP as text, and its port and family; false for a path. */
static bool ip_of(const net_address *a, char *ip, size_t size, int *port,
                  int *family) {
  const unsigned char *b = a->in6.sin6_addr.s6_addr;
  if (a->any.sa_family == AF_INET) {
    uv_ip4_name(&a->in, ip, size);
    *port = ntohs(a->in.sin_port);
    *family = 4;
    return true;
  }
  if (a->any.sa_family != AF_INET6) return false;
  *port = ntohs(a->in6.sin6_port);
  *family = 6;
  if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
    *family = 4;
    snprintf(ip, size, "%d.%d.%d.%d", b[12], b[13], b[14], b[15]);
  } else
    uv_ip6_name(&a->in6, ip, size);
  return true;
}

/* The path and its length: "" for an unnamed socket. */
static const char *path_of(const net_address *a, socklen_t length,
                           size_t *size) {
  size_t offset = offsetof(struct sockaddr_un, sun_path);
  *size = length > offset ? length - offset : 0;
  const char *path = a->un.sun_path;
  if (*size > 0 && path[0] != '\0') *size = strnlen(path, *size);
  return path;
}

void net_address_push(lua_State *L, const net_address *a, socklen_t length) {
  char ip[64];
  int port, family;
  lua_createtable(L, 0, 3);
  if (ip_of(a, ip, sizeof ip, &port, &family)) {
    lua_pushstring(L, ip);
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, port);
    lua_setfield(L, -2, "port");
    lua_pushinteger(L, family);
    lua_setfield(L, -2, "family");
  } else {
    size_t size;
    const char *path = path_of(a, length, &size);
    lua_pushlstring(L, path, size);
    lua_setfield(L, -2, "path");
  }
}

void net_address_text(const net_address *a, socklen_t length, char *text,
                      size_t size) {
  char ip[64];
  int port, family;
  if (ip_of(a, ip, sizeof ip, &port, &family)) {
    snprintf(text, size, family == 6 ? "[%s]:%d" : "%s:%d", ip, port);
  } else {
    size_t n;
    const char *path = path_of(a, length, &n);
    snprintf(text, size, "%.*s", (int)n, path);
  }
}

int net_fail(lua_State *L, int rc, const char *syscall, const net_address *a,
             socklen_t length, const char *stage) {
  char ip[64];
  int port, family;
  size_t size;
  lua_pushnil(L);
  if (ip_of(a, ip, sizeof ip, &port, &family)) {
    halo_error_uv(L, rc, syscall, NULL);
    lua_pushstring(L, ip);
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, port);
    lua_setfield(L, -2, "port");
  } else
    halo_error_uv(L, rc, syscall, path_of(a, length, &size));
  if (stage != NULL) {
    lua_pushstring(L, stage);
    lua_setfield(L, -2, "stage");
  }
  return 2;
}
