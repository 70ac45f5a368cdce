/* Userdata classes, checked by address. */
#include "core/object.h"

#include <string.h>

#include "core/runtime.h"

void halo_pushfunction(lua_State *L, halo_runtime *rt, lua_CFunction f);

void halo_setfuncs(lua_State *L, const luaL_Reg *funcs) {
  halo_runtime_open(L);
  luaL_setfuncs(L, funcs, 1);
}

static void add_methods(lua_State *L, const halo_class *class) {
  if (class->super != NULL) add_methods(L, class->super);
  if (class->methods != NULL) halo_setfuncs(L, class->methods);
}

static void add_meta(lua_State *L, const halo_class *class) {
  if (class->super != NULL) add_meta(L, class->super);
  if (class->meta != NULL) halo_setfuncs(L, class->meta);
}

void halo_class_register(lua_State *L, const halo_class *class) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, class) != LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushstring(L, class->name);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "protected");
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  add_methods(L, class);
  lua_setfield(L, -2, "__index");
  add_meta(L, class);
  lua_rawsetp(L, LUA_REGISTRYINDEX, class);
}

void *halo_object_new(lua_State *L, const halo_class *class, size_t size,
                      int nuv) {
  const halo_class **o = lua_newuserdatauv(L, size, nuv);
  memset(o, 0, size);
  *o = class;
  lua_rawgetp(L, LUA_REGISTRYINDEX, class);
  lua_setmetatable(L, -2);
  return o;
}

void *halo_object_test(lua_State *L, int index, const halo_class *class) {
  const halo_class **o = lua_touserdata(L, index);
  if (o == NULL || lua_type(L, index) != LUA_TUSERDATA) return NULL;
  if (lua_rawlen(L, index) < sizeof *o) return NULL;
  if (*o == class) return o;
  /* A super class: only ours can be told from chance by their metatable. */
  if (!lua_getmetatable(L, index)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, *o);
  int ours = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!ours) return NULL;
  for (const halo_class *c = *o; c != NULL; c = c->super)
    if (c == class) return o;
  return NULL;
}

void *halo_object_check(lua_State *L, int index, const halo_class *class) {
  void *o = halo_object_test(L, index, class);
  if (o == NULL) luaL_typeerror(L, index, class->name);
  return o;
}
