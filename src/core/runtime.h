/* The runtime: one per Lua state. Its loop, its queues, its current task.
 *
 * It is upvalue 1 of every C function of ours (halo_rt), so that nothing on
 * a hot path looks it up. The struct is the memory of a userdata that lives
 * as long as the state; its __gc shuts everything down. */
#ifndef HALO_CORE_RUNTIME_H
#define HALO_CORE_RUNTIME_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/object.h"

typedef struct halo_runtime halo_runtime;
typedef struct halo_task halo_task;

#define HALO_VERSION "0.1.0"

/* The runtime, from inside any C function registered by halo_setfuncs. */
#define halo_rt(L) ((halo_runtime *)lua_touserdata(L, lua_upvalueindex(1)))

/* Pushes the runtime's userdata and gives it; makes it in the first call in
 * a state. Opens no loop, no thread, no descriptor.          [-0, +1, m] */
halo_runtime *halo_runtime_open(lua_State *L);

/* The loop, opened on first use. NULL never: raises or aborts on failure. */
uv_loop_t *halo_loop(halo_runtime *rt);

/* The scratch thread on which C prepares values for tasks outside of them:
 * in libuv callbacks. Leave it as you found it.  */
lua_State *halo_scratch(halo_runtime *rt);

/* True from the start of the shutdown: nothing may reach Lua any more. */
bool halo_closing(const halo_runtime *rt);

/* The task that runs now, or NULL outside all tasks. */
halo_task *halo_current(const halo_runtime *rt);

/* --- Reaching Lua from a libuv callback ---------------------------------- */

/* Calls f(ud) in protected mode on the scratch thread (ud arrives as light
 * userdata 1; upvalue 1 is the runtime). Its results stay on the scratch
 * stack; gives their number. A raised error leaves nil and the error (2).
 * While closing: does nothing, gives 0.          scratch: [-0, +n, -] */
int halo_protect(halo_runtime *rt, lua_CFunction f, void *ud);

/* Runs ticks, then microtasks, again until both are empty. The last thing a
 * libuv callback does before it returns. Inside itself: nothing. */
void halo_drain(halo_runtime *rt);

/* --- Values that C holds ------------------------------------------------- */

/* Pops a value of L and keeps it from the collector; gives its slot (> 0).
 *                                                            [-1, +0, m] */
int halo_anchor(lua_State *L, halo_runtime *rt);
/* Pushes the value of a slot.                                [-0, +1, -] */
void halo_anchor_push(lua_State *L, halo_runtime *rt, int slot);
/* Lets the value go; slot 0 is no error.                     [-0, +0, -] */
void halo_anchor_drop(halo_runtime *rt, int slot);

/* --- Running ------------------------------------------------------------- */

/* The command's main: the function and 'nargs' arguments on top of L are the
 * main task's body. Runs the loop until nothing is left; gives the exit code
 * (0, 1 after an uncaught error that it has printed, 13 if the main task
 * still waits).                                        [-(nargs+1), +0, m] */
int halo_main(lua_State *L, int nargs);

/* Replaces the functions of the coroutine library by ones through which a
 * wait passes; for any other yield they are the stock ones. [-0, +0, m] */
void halo_install_coroutine(lua_State *L);

/* exit, which does not wait for pool threads that are blocked for ever. */
_Noreturn void halo_exit(int code);

/* Replaces os.exit by one that may be called in a task.      [-0, +0, m] */
void halo_install_exit(lua_State *L);

/* lua_Module opener: pushes the table of all bindings; the same at each call
 * in one state.                                              [-0, +1, m] */
int luaopen_halo_core(lua_State *L);

#endif
