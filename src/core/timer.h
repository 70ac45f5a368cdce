/* Timers: one uv_timer_t per runtime under a wheel of our own.
 *
 * A halo_timer is embedded in what it times (a connection, a wait): setting,
 * moving and clearing are O(1). Times are milliseconds of the loop's clock.
 * Timers due at the same millisecond fire in the order they were set. */
#ifndef HALO_CORE_TIMER_H
#define HALO_CORE_TIMER_H

#include "core/runtime.h"

typedef struct halo_timer halo_timer;
struct halo_timer {
  halo_timer *next, *prev; /* NULL: not set */
  uint64_t due : 48;       /* loop time, ms */
  uint64_t kind : 8;       /* enum halo_timer_kind */
  uint64_t unref : 1;      /* does not keep the loop alive */
  uint64_t spare : 7;
};

enum halo_timer_kind {
  HALO_TIMER_CALL, /* a halo_calltimer: C function */
  HALO_TIMER_USER  /* halo.timers' own */
};

/* A timer that calls a C function, from the loop; the drain runs after it. */
typedef struct halo_calltimer {
  halo_timer node;
  void (*fire)(halo_runtime *rt, struct halo_calltimer *t);
} halo_calltimer;

/* Sets (or moves) a timer to fire 'ms' from now; less than 1 counts as 1.
 * Set 'fire' (and node.unref, if wanted) before the first set. A zeroed
 * record is a timer that is not set. */
void halo_timer_set(halo_runtime *rt, halo_calltimer *t, uint64_t ms);
/* Clears it; one that is not set is no error. */
void halo_timer_clear(halo_runtime *rt, halo_calltimer *t);
#define halo_timer_is_set(t) ((t)->node.next != NULL)

/* The loop's cached time in ms. */
uint64_t halo_now(halo_runtime *rt);

/* The time argument at 'index' in seconds, as ms (rounded up); raises on a
 * value that is no number, negative, NaN or above 2^31 s.    [-0, +0, v] */
uint64_t halo_check_ms(lua_State *L, int index);

#endif
