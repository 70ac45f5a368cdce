/* Errors: halo.Error values. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/state.h"

static const char error_key = 0; /* the metatable's place in the registry */

static void set_string(lua_State *L, const char *key, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* Gives the table on top the metatable of halo.Error.        [-0, +0, m] */
static void make_error(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  lua_setmetatable(L, -2);
}

void halo_error_uv(lua_State *L, int rc, const char *syscall,
                   const char *path) {
  char code[48], text[256];
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 5);
  set_string(L, "code", uv_err_name_r(rc, code, sizeof code));
  set_string(L, "message", uv_strerror_r(rc, text, sizeof text));
  lua_pushinteger(L, -rc);
  lua_setfield(L, -2, "errno");
  set_string(L, "syscall", syscall);
  set_string(L, "path", path);
  make_error(L);
}

static void push_formatted(lua_State *L, const char *code, const char *format,
                           va_list args) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 3);
  set_string(L, "code", code);
  lua_pushvfstring(L, format, args);
  lua_setfield(L, -2, "message");
  make_error(L);
}

void halo_error_push(lua_State *L, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  push_formatted(L, code, format, args);
  va_end(args);
}

int halo_fail(lua_State *L, int rc, const char *syscall, const char *path) {
  lua_pushnil(L);
  halo_error_uv(L, rc, syscall, path);
  return 2;
}

int halo_fail_code(lua_State *L, const char *code, const char *format, ...) {
  va_list args;
  lua_pushnil(L);
  va_start(args, format);
  push_formatted(L, code, format, args);
  va_end(args);
  return 2;
}

bool halo_error_is(lua_State *L, int index, const char *code) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
    return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!is || code == NULL) return is;
  index = lua_absindex(L, index);
  lua_pushstring(L, code);
  lua_pushliteral(L, "code");
  lua_rawget(L, index);
  is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

void halo_check_options(lua_State *L, int index, const char *const *known) {
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  index = lua_absindex(L, index);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    const char *key =
        lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    const char *const *k = known;
    while (key != NULL && *k != NULL && strcmp(*k, key) != 0) k++;
    if (key == NULL || *k == NULL) {
      luaL_tolstring(L, -1, NULL);
      luaL_argerror(
          L, index,
          lua_pushfstring(L, "unknown option '%s'", lua_tostring(L, -1)));
    }
  }
}

/* halo.Error{code=, message=, …} -> err: the table itself becomes the error. */
static int error_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getfield(L, 1, "code") != LUA_TSTRING)
    return luaL_argerror(L, 1, "field 'code' (a string) expected");
  lua_pop(L, 1);
  make_error(L);
  return 1;
}

static int error_call(lua_State *L) {
  lua_remove(L, 1); /* halo.Error itself */
  return error_new(L);
}

/* halo.is_error(v [, code]) -> boolean */
static int error_is(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, halo_error_is(L, 1, luaL_optstring(L, 2, NULL)));
  return 1;
}

/* Appends 'before', the field 'key' and 'after' to the text at 2. */
static void add_field(lua_State *L, const char *before, const char *key,
                      const char *after) {
  lua_settop(L, 2);
  lua_getfield(L, 1, key);
  if (!lua_isstring(L, -1)) return;
  lua_pushfstring(L, "%s%s%s%s", lua_tostring(L, 2), before, lua_tostring(L, 3),
                  after);
  lua_replace(L, 2);
}

/* tostring(err): CODE: message, syscall 'path' -> 'dest' address:port */
static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushliteral(L, "");
  add_field(L, "", "code", "");
  add_field(L, ": ", "message", "");
  add_field(L, ", ", "syscall", "");
  add_field(L, " '", "path", "'");
  add_field(L, " -> '", "dest", "'");
  lua_getfield(L, 1, "address");
  const char *address = lua_tostring(L, -1);
  bool v6 = address != NULL && strchr(address, ':') != NULL;
  add_field(L, v6 ? " [" : " ", "address", v6 ? "]" : "");
  if (address != NULL) add_field(L, ":", "port", "");
  lua_settop(L, 2);
  return 1;
}

static int error_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

int halo_open_error(lua_State *L) {
  static const luaL_Reg meta[] = {
      {"__tostring", error_tostring}, {"__concat", error_concat}, {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key) == LUA_TNIL) {
    lua_newtable(L);
    luaL_setfuncs(L, meta, 0);
    lua_pushliteral(L, "halo.Error");
    lua_setfield(L, -2, "__name");
    lua_newtable(L); /* its metatable: halo.Error{…} makes an error */
    lua_pushcfunction(L, error_call);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
    lua_replace(L, -2);
  }
  lua_setfield(L, -2, "Error");
  lua_pushcfunction(L, error_is);
  lua_setfield(L, -2, "is_error");
  return 0;
}
