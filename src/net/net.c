/* The binding of halo.net: TCP and Unix sockets. */
#include <arpa/inet.h>
#include <string.h>

#include "net/net.h"

/* core.is_ip(s) -> 4 | 6 | nil */
static int net_is_ip(lua_State *L) {
  size_t size;
  unsigned char bytes[sizeof(struct in6_addr)];
  const char *s = luaL_checklstring(L, 1, &size);
  if (strlen(s) != size) return 0;
  if (inet_pton(AF_INET, s, bytes) == 1)
    lua_pushinteger(L, 4);
  else if (inet_pton(AF_INET6, s, bytes) == 1)
    lua_pushinteger(L, 6);
  else
    lua_pushnil(L);
  return 1;
}

/* core.now() -> seconds of the monotonic clock, for deadlines */
static int net_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)uv_hrtime() / 1e9);
  return 1;
}

int halo_net_open(lua_State *L) {
  static const char opened_key = 0;
  static const luaL_Reg funcs[] = {{"connect", net_connect},
                                   {"connect_unix", net_connect_unix},
                                   {"is_ip", net_is_ip},
                                   {"listen", net_listen},
                                   {"now", net_now},
                                   {"resolve", net_resolve},
                                   {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &opened_key) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  halo_stream_open(L);
  lua_pop(L, 1);
  net_socket_register(L);
  net_server_register(L);
  lua_newtable(L);
  halo_setfuncs(L, funcs);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &opened_key);
  return 1;
}
