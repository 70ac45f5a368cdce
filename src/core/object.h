/* Userdata classes: one static record a class, checked by address.
 *
 * Every userdata of ours begins with a pointer to its class, so that a check
 * is a comparison and no look-up by name. Metatables live in the registry of
 * each state under the class's address. */
#ifndef HALO_CORE_OBJECT_H
#define HALO_CORE_OBJECT_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

typedef struct halo_class {
  const char *name;               /* "halo.net.Socket": __name in messages */
  const struct halo_class *super; /* whose methods and checks it passes */
  const luaL_Reg *methods;        /* become __index; may be NULL */
  const luaL_Reg *meta;           /* __gc, __close, __tostring …; or NULL */
} halo_class;

/* Makes the metatable of 'class' in this state, once. Its functions get the
 * runtime as upvalue 1.                                      [-0, +0, m] */
void halo_class_register(lua_State *L, const halo_class *class);

/* Pushes a new zeroed userdata of 'class' with 'nuv' user values. 'size'
 * counts the leading class pointer.                          [-0, +1, m] */
void *halo_object_new(lua_State *L, const halo_class *class, size_t size,
                      int nuv);

/* The object at 'index' if it is of 'class' or a class whose super it is,
 * else NULL.                                                 [-0, +0, -] */
void *halo_object_test(lua_State *L, int index, const halo_class *class);

/* The same, but raises an argument error where it is not.    [-0, +0, v] */
void *halo_object_check(lua_State *L, int index, const halo_class *class);

/* Adds functions to the table on top, each with the runtime as upvalue 1
 * (as luaL_setfuncs; a NULL function gives false).           [-0, +0, m] */
void halo_setfuncs(lua_State *L, const luaL_Reg *funcs);

#endif
