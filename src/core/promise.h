/* Promises: Promises/A+ with any number of values. */
#ifndef HALO_CORE_PROMISE_H
#define HALO_CORE_PROMISE_H

#include "core/runtime.h"

typedef struct halo_promise halo_promise;
extern const halo_class halo_promise_class;
extern const halo_class halo_task_class; /* super: halo_promise_class */

/* Pushes a new pending promise.                              [-0, +1, m] */
halo_promise *halo_promise_new(lua_State *L);
/* Fulfils the promise at 'index' with the n values on top, as they are (no
 * adoption); a settled one is left as it is.                 [-n, +0, m] */
void halo_promise_fulfil(lua_State *L, int index, int n);
/* Rejects it with the value on top.                          [-1, +0, m] */
void halo_promise_reject(lua_State *L, int index);
/* Resolves it with the n values on top: a single promise or thenable is
 * adopted, anything else fulfils it.                         [-n, +0, m] */
void halo_promise_resolve(lua_State *L, int index, int n);

#endif
