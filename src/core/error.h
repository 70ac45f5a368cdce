/* Errors: halo.Error values, made here and nowhere else.
 *
 * A halo.Error is a table {code=, message=, …} with one shared metatable;
 * tostring gives "CODE: message[, syscall 'path']". */
#ifndef HALO_CORE_ERROR_H
#define HALO_CORE_ERROR_H

#include "core/runtime.h"

/* Pushes the error for a libuv status; syscall and path may be NULL. Fields
 * code, message, errno (positive), syscall, path.            [-0, +1, m] */
void halo_error_uv(lua_State *L, int rc, const char *syscall, const char *path);
/* Pushes an error with a code of ours and a formatted message. Add further
 * fields with lua_setfield.                                  [-0, +1, m] */
void halo_error_push(lua_State *L, const char *code, const char *format, ...);

/* nil and the error, as a C function's results: return these. [-0, +2, m] */
int halo_fail(lua_State *L, int rc, const char *syscall, const char *path);
int halo_fail_code(lua_State *L, const char *code, const char *format, ...);

/* True if the value at 'index' is a halo.Error (with that code, unless NULL).
 *                                                            [-0, +0, -] */
bool halo_error_is(lua_State *L, int index, const char *code);

/* Raises an argument error naming an unknown key of the options table at
 * 'index' unless it is one of 'known' (NULL-terminated); nil or none is no
 * table and no error.                                        [-0, +0, v] */
void halo_check_options(lua_State *L, int index, const char *const *known);

#endif
