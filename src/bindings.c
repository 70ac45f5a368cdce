/* The top of the native floor: luaopen_halo_core, the table of all bindings.
 * A room is opened when its field is first read. */
#include <string.h>

#include "core/halo.h"
#include "core/state.h"

#define ROOM(name) __attribute__((weak)) int halo_##name##_open(lua_State *L)
ROOM(stream);
ROOM(net);
ROOM(http);
ROOM(fs);
ROOM(system);

static const struct room {
  const char *name;
  lua_CFunction open;
} rooms[] = {{"stream", halo_stream_open}, {"net", halo_net_open},
             {"http", halo_http_open},     {"fs", halo_fs_open},
             {"system", halo_system_open}, {NULL, NULL}};

/* core[name]: opens the room of that name. Upvalue 1 is the runtime. */
static int open_room(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  for (const struct room *r = rooms; r->name != NULL; r++)
    if (strcmp(r->name, name) == 0 && r->open != NULL) {
      halo_pushfunction(L, halo_rt(L), r->open);
      lua_call(L, 0, 1);
      lua_pushvalue(L, 2);
      lua_pushvalue(L, -2);
      lua_rawset(L, 1);
      return 1;
    }
  return 0;
}

static const char module_key = 0;

__attribute__((visibility("default"))) int luaopen_halo_core(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE) return 1;
  lua_pop(L, 1);
  halo_runtime *rt = halo_runtime_open(L);
  lua_pop(L, 1);
  halo_pushfunction(L, rt, halo_open_core);
  lua_call(L, 0, 1);
  lua_createtable(L, 0, 1);
  halo_pushfunction(L, rt, open_room);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
  return 1;
}
