/* The Lua modules that the command carries, precompiled (tools/embed.c). */
#ifndef HALO_COMMAND_MODULES_H
#define HALO_COMMAND_MODULES_H

#include <lua.h>
#include <stddef.h>

typedef struct halo_module {
  const char *name;  /* "halo.fs" */
  const char *chunk; /* "=halo/fs.lua" */
  const char *code;
  size_t size;
} halo_module;

extern const halo_module halo_modules[]; /* ends with a NULL name */

/* Lets require find them, before any file.                   [-0, +0, m] */
void halo_modules_open(lua_State *L);

/* Pushes the main function of one of them.                   [-0, +1, e] */
void halo_module_load(lua_State *L, const char *name);

#endif
