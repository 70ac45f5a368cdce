/* Byte arguments, and halo.buffer: mutable bytes that the collector sees. */
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/state.h"

typedef struct buffer {
  const halo_class *class;
  char *data; /* NULL once moved away */
  size_t size;
} buffer;
static const halo_class buffer_class;

const char *halo_bytes_test(lua_State *L, int index, size_t *size) {
  buffer *b = halo_object_test(L, index, &buffer_class);
  if (b != NULL) {
    *size = b->size;
    return b->data == NULL ? "" : b->data;
  }
  if (!lua_isstring(L, index)) return NULL;
  return lua_tolstring(L, index, size);
}

const char *halo_bytes_check(lua_State *L, int index, size_t *size) {
  const char *data = halo_bytes_test(L, index, size);
  if (data == NULL) luaL_typeerror(L, index, "string or buffer");
  return data;
}

/* Memory outside of Lua's is told to the collector by steps of work. */
enum { STEP = 64 * 1024 };

static buffer *new_buffer(lua_State *L, size_t size) {
  buffer *b = halo_object_new(L, &buffer_class, sizeof *b, 0);
  b->data = calloc(1, size > 0 ? size : 1);
  if (b->data == NULL) luaL_error(L, "not enough memory");
  b->size = size;
  if (size >= STEP)
    lua_gc(L, LUA_GCSTEP, (int)(size / 1024 > 1 << 20 ? 1 << 20 : size / 1024));
  return b;
}

static buffer *check_buffer(lua_State *L) {
  return halo_object_check(L, 1, &buffer_class);
}

/* buffer.new(n) -> n zero bytes */
static int buffer_new(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= 0x7fffffffffff, 1, "size out of range");
  new_buffer(L, (size_t)n);
  return 1;
}

/* buffer.from(s) -> a copy of a string's or buffer's bytes */
static int buffer_from(lua_State *L) {
  size_t size;
  halo_bytes_check(L, 1, &size);
  buffer *b = new_buffer(L, size);
  memcpy(b->data, halo_bytes_check(L, 1, &size), size);
  return 1;
}

/* Positions count from 1; negative ones from the end, as string.sub's. */
static void range(lua_State *L, size_t size, int index, size_t *from,
                  size_t *to) {
  lua_Integer n = (lua_Integer)size;
  lua_Integer i = luaL_optinteger(L, index, 1);
  lua_Integer j = luaL_optinteger(L, index + 1, -1);
  if (i < 0) i = i + n + 1 < 1 ? 1 : i + n + 1;
  if (i == 0) i = 1;
  if (j < 0) j += n + 1;
  if (j > n) j = n;
  *from = (size_t)(i - 1);
  *to = i > j ? *from : (size_t)j;
}

/* buffer:sub([i [, j]]) -> string */
static int buffer_sub(lua_State *L) {
  buffer *b = check_buffer(L);
  size_t from, to;
  range(L, b->size, 2, &from, &to);
  lua_pushlstring(L, b->data + from, to - from);
  return 1;
}

static int buffer_tostring(lua_State *L) {
  buffer *b = check_buffer(L);
  lua_pushlstring(L, b->data, b->size);
  return 1;
}

/* buffer:set(i, bytes) -> buffer: overwrites from position i */
static int buffer_set(lua_State *L) {
  buffer *b = check_buffer(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  size_t size;
  const char *data = halo_bytes_check(L, 3, &size);
  luaL_argcheck(L,
                i >= 1 && (size_t)(i - 1) <= b->size &&
                    size <= b->size - (size_t)(i - 1),
                2, "out of range");
  memmove(b->data + i - 1, data, size);
  lua_settop(L, 1);
  return 1;
}

/* buffer:fill(byte [, i [, j]]) -> buffer */
static int buffer_fill(lua_State *L) {
  buffer *b = check_buffer(L);
  lua_Integer byte = luaL_checkinteger(L, 2);
  luaL_argcheck(L, byte >= 0 && byte <= 255, 2, "byte expected (0 to 255)");
  size_t from, to;
  range(L, b->size, 3, &from, &to);
  memset(b->data + from, (int)byte, to - from);
  lua_settop(L, 1);
  return 1;
}

/* buffer:copy([i [, j]]) -> a new buffer with those bytes */
static int buffer_copy(lua_State *L) {
  buffer *b = check_buffer(L);
  size_t from, to;
  range(L, b->size, 2, &from, &to);
  buffer *copy = new_buffer(L, to - from);
  memcpy(copy->data, b->data + from, to - from);
  return 1;
}

/* Calls string's 'name' with what is on the stack. */
static void call_string(lua_State *L, const char *name, int nargs, int n) {
  lua_getglobal(L, LUA_STRLIBNAME);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  lua_insert(L, -nargs - 1);
  if (lua_pcall(L, nargs, n, 0) != LUA_OK) /* with our caller's position */
    luaL_error(L, "%s", lua_tostring(L, -1));
}

/* buffer:pack(i, format, ...) -> the position after what string.pack made */
static int buffer_pack(lua_State *L) {
  buffer *b = check_buffer(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_checkstring(L, 3);
  call_string(L, "pack", lua_gettop(L) - 2, 1);
  size_t size;
  const char *data = lua_tolstring(L, -1, &size);
  luaL_argcheck(L,
                i >= 1 && (size_t)(i - 1) <= b->size &&
                    size <= b->size - (size_t)(i - 1),
                2, "out of range");
  memcpy(b->data + i - 1, data, size);
  lua_pushinteger(L, i + (lua_Integer)size);
  return 1;
}

/* buffer:unpack(format [, i]) -> values, next position: as string.unpack */
static int buffer_unpack(lua_State *L) {
  buffer *b = check_buffer(L);
  luaL_checkstring(L, 2);
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  lua_pushlstring(L, b->data, b->size);
  if (lua_isnil(L, 3))
    lua_pushinteger(L, 1);
  else
    lua_pushvalue(L, 3);
  call_string(L, "unpack", 3, LUA_MULTRET);
  return lua_gettop(L) - 3;
}

static int buffer_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_buffer(L)->size);
  return 1;
}

/* b[i] is a byte's value, 1 to #b; else the methods. Upvalue 2: those. */
static int buffer_index(lua_State *L) {
  buffer *b = check_buffer(L);
  if (lua_type(L, 2) == LUA_TNUMBER) {
    int integral;
    lua_Integer i = lua_tointegerx(L, 2, &integral);
    if (!integral || i < 1 || (size_t)i > b->size) return 0;
    lua_pushinteger(L, (unsigned char)b->data[i - 1]);
    return 1;
  }
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  return 1;
}

static int buffer_newindex(lua_State *L) {
  buffer *b = check_buffer(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  lua_Integer byte = luaL_checkinteger(L, 3);
  luaL_argcheck(L, i >= 1 && (size_t)i <= b->size, 2, "out of range");
  luaL_argcheck(L, byte >= 0 && byte <= 255, 3, "byte expected (0 to 255)");
  b->data[i - 1] = (char)byte;
  return 0;
}

static int buffer_eq(lua_State *L) {
  buffer *a = halo_object_test(L, 1, &buffer_class);
  buffer *b = halo_object_test(L, 2, &buffer_class);
  lua_pushboolean(L, a != NULL && b != NULL && a->size == b->size &&
                         memcmp(a->data, b->data, a->size) == 0);
  return 1;
}

static int buffer_gc(lua_State *L) {
  buffer *b = check_buffer(L);
  free(b->data);
  b->data = NULL;
  b->size = 0;
  return 0;
}

static const luaL_Reg buffer_methods[] = {
    {"sub", buffer_sub},       {"tostring", buffer_tostring},
    {"set", buffer_set},       {"fill", buffer_fill},
    {"copy", buffer_copy},     {"pack", buffer_pack},
    {"unpack", buffer_unpack}, {NULL, NULL}};
static const luaL_Reg buffer_meta[] = {
    {"__len", buffer_len}, {"__newindex", buffer_newindex}, {"__eq", buffer_eq},
    {"__gc", buffer_gc},   {"__tostring", buffer_tostring}, {NULL, NULL}};
static const halo_class buffer_class = {"halo.buffer", NULL, buffer_methods,
                                        buffer_meta};

int halo_open_buffer(lua_State *L) {
  static const luaL_Reg funcs[] = {
      {"new", buffer_new}, {"from", buffer_from}, {NULL, NULL}};
  halo_class_register(L, &buffer_class);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &buffer_class);
  halo_runtime_open(L);
  lua_getfield(L, -2, "__index");
  if (lua_istable(L, -1)) { /* b[i] comes first */
    lua_pushcclosure(L, buffer_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
  } else
    lua_pop(L, 3);
  lua_newtable(L);
  halo_setfuncs(L, funcs);
  lua_setfield(L, -2, "buffer");
  return 0;
}
