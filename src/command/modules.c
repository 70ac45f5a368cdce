/* The modules inside the command: found by require, loaded when asked for. */
#include "command/modules.h"

#include <lauxlib.h>
#include <string.h>

#include "core/runtime.h"

static void load(lua_State *L, const halo_module *m) {
  if (luaL_loadbufferx(L, m->code, m->size, m->chunk, "b") != LUA_OK)
    lua_error(L);
}

void halo_module_load(lua_State *L, const char *name) {
  for (const halo_module *m = halo_modules; m->name != NULL; m++)
    if (strcmp(m->name, name) == 0) {
      load(L, m);
      return;
    }
  luaL_error(L, "module '%s' is not in the command", name);
}

/* loader(name, ":preload:"): runs the module; it may wait. */
static int loaded(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 1;
}

static int loader(lua_State *L) {
  load(L, lua_touserdata(L, lua_upvalueindex(1)));
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, 0, loaded);
  return 1;
}

void halo_modules_open(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const halo_module *m = halo_modules; m->name != NULL; m++) {
    union {
      const halo_module *module;
      void *p;
    } u = {m};
    lua_pushlightuserdata(L, u.p);
    lua_pushcclosure(L, loader, 1);
    lua_setfield(L, -2, m->name);
  }
  lua_pushcfunction(L, luaopen_halo_core);
  lua_setfield(L, -2, "halo.core");
  lua_pop(L, 1);
}
