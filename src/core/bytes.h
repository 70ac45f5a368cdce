/* Byte arguments: a Lua string, or a halo.buffer taken wherever one is. */
#ifndef HALO_CORE_BYTES_H
#define HALO_CORE_BYTES_H

#include "core/runtime.h"

/* The bytes of the string, number or buffer at 'index'; NULL if it is none.
 * Valid while the value is on the stack and a buffer is not resized.
 *                                                            [-0, +0, m] */
const char *halo_bytes_test(lua_State *L, int index, size_t *size);
/* The same, but raises an argument error.                    [-0, +0, v] */
const char *halo_bytes_check(lua_State *L, int index, size_t *size);

#endif
