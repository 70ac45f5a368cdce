/* Tasks and waits: how C suspends Lua and how it goes on.
 *
 * A function that waits is written like this:
 *
 *   static int fs_stat(lua_State *L) {
 *     const char *path = luaL_checkstring(L, 1);   1 arguments: may raise;
 *                                                    leaves the stack as it is
 *     HALO_WAITS(L);                               2 outside all tasks: runs
 *                                                    itself in one; raises if
 *                                                    no wait is possible here
 *                                                    or the task is cancelled
 *     … take a record that begins with a halo_wait, start the operation …
 *     return halo_wait_start(L, &r->wait);         3 suspends
 *   }
 *   static void on_stat(uv_fs_t *fs) {             4 completion (libuv)
 *     int n = halo_protect(rt, push_stat, r);        results on scratch
 *     halo_wait_finish(rt, &r->wait, n);             wakes the task
 *     free(r);
 *     halo_drain(rt);                                last of all
 *   }
 *
 * The record lives until libuv has let go of it. Its 'task' is NULL once
 * nobody waits any more (finished, or cancelled). */
#ifndef HALO_CORE_TASK_H
#define HALO_CORE_TASK_H

#include "core/runtime.h"

typedef struct halo_wait halo_wait;
struct halo_wait {
  halo_task *task; /* who waits; NULL: nobody */
  /* Stops the operation: called at most once, when the waiting task is
   * cancelled or the runtime shuts down. 'task' is NULL already; the record
   * may be freed here if libuv does not hold it. Must not reach Lua. */
  void (*cancel)(halo_wait *w);
  const char *what; /* static text: "read", "connect": for reports */
};

/* See above. Arguments have been checked and the stack holds just them. */
#define HALO_WAITS(L)                                                          \
  do {                                                                         \
    if (halo_current(halo_rt(L)) == NULL) return halo_wait_outside(L);         \
    halo_wait_check(L);                                                        \
  } while (0)

/* Runs the calling C function with its arguments in a task of its own, and
 * the loop until that task has ended; its results are the results here, its
 * error is raised here.                                      [-0, +n, e] */
int halo_wait_outside(lua_State *L);

/* Raises if the running code cannot wait ("cannot wait inside table.sort")
 * or its task is cancelled (ECANCELED).                      [-0, +0, v] */
void halo_wait_check(lua_State *L);

/* Suspends the running task until halo_wait_finish or _fail; to be returned
 * from the C function. 'w' has cancel and what set, and must outlive the
 * operation. */
int halo_wait_start(lua_State *L, halo_wait *w);

/* The same, with a continuation instead of a return to Lua: when the wait is
 * over k(L, n, ctx) runs, with the n results on top of the stack. */
int halo_wait_startk(lua_State *L, halo_wait *w, lua_KContext ctx,
                     int (*k)(lua_State *L, int n, lua_KContext ctx));

/* The operation is over: its 'n' results, on top of the scratch stack, are
 * given to the task, which goes into the queue of microtasks. Pops them also
 * when nobody waits.                              scratch: [-n, +0, -] */
void halo_wait_finish(halo_runtime *rt, halo_wait *w, int n);

/* The same, but raises the value on top of scratch in the task.
 *                                                 scratch: [-1, +0, -] */
void halo_wait_fail(halo_runtime *rt, halo_wait *w);

/* True if a wait whose answer is there already may be answered without
 * suspending. False now and then, so that a task that always finds data
 * cannot starve the others: then the caller suspends with halo_wait_turn. */
bool halo_wait_at_once(halo_runtime *rt);

/* Suspends until everything now ready has run (as halo.yield), then gives
 * the 'n' values on top of L as the results; to be returned. */
int halo_wait_turn(lua_State *L, int n);

/* --- Callbacks ------------------------------------------------------------ */

/* What ends a callback task: 'failed' tells whether it raised; its 'n'
 * results, or the error (n = 1), are on top of the scratch stack and are
 * popped by the caller. Runs unprotected: only what cannot raise, or
 * halo_protect. */
typedef void halo_task_done(halo_runtime *rt, void *ud, bool failed, int n);

/* Runs a callback as the body of a macrotask, now: a function and 'nargs'
 * arguments are on top of the scratch stack. It may wait; then this returns
 * at its first wait. With 'done' NULL an error is an uncaught error. Site is
 * what HALO's tracebacks name as "spawned at" (may be NULL); context is
 * inherited (may be NULL). Call halo_drain afterwards. Gives the task if it
 * is still alive (it waits), else NULL.
 *                                           scratch: [-(nargs+1), +0, -] */
struct halo_site;
struct halo_context;
halo_task *halo_callback(halo_runtime *rt, int nargs, struct halo_site *site,
                         struct halo_context *context, halo_task_done *done,
                         void *ud);

/* Cancels a task (ECANCELED at its current and each later wait). */
void halo_task_cancel(halo_task *t);

/* Reports the error on top of L as uncaught (process event, else stderr and
 * exit code 1). 'site' tells where it was spawned.           [-1, +0, -] */
void halo_uncaught(halo_runtime *rt, lua_State *L, struct halo_site *site);

/* Prints the error on top of L with the traceback known of it on stderr,
 * without ending anything (a handler that raised: 500).      [-1, +0, -] */
void halo_report(halo_runtime *rt, lua_State *L, struct halo_site *site);

/* --- Where and under what a callback was set ------------------------------ */

/* The Lua line that called the running C function, for tracebacks; counted:
 * halo_site_drop gives it back. May be NULL.                 [-0, +0, -] */
struct halo_site *halo_site_here(lua_State *L);
struct halo_site *halo_site_keep(struct halo_site *s);
void halo_site_drop(struct halo_site *s);

/* The context (halo.context) of the running code; counted as well. */
struct halo_context *halo_context_here(halo_runtime *rt);
struct halo_context *halo_context_keep(struct halo_context *c);
void halo_context_drop(halo_runtime *rt, struct halo_context *c);

#endif
