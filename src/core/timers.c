/* Timers and immediates: the wheel, and halo.timers on top of it.
 *
 * The wheel has seven levels of 64 slots of 1, 64, 4096 … ms. A timer is in
 * the level of the highest group of six bits in which its time differs from
 * the wheel's; slots are lists, and a slot of a higher level, when its time
 * has come, is dealt out to the lower ones in order. So all is O(1), and
 * timers of the same millisecond keep the order in which they were set. */
#include <math.h>
#include <stdlib.h>

#include "core/state.h"

/* --- Lists ----------------------------------------------------------------------- */

static void list_open(halo_timer *head) { head->next = head->prev = head; }
static bool list_empty(const halo_timer *head) { return head->next == head; }

static void list_append(halo_timer *head, halo_timer *t) {
  t->prev = head->prev;
  t->next = head;
  t->prev->next = t;
  head->prev = t;
}

static void list_remove(halo_timer *t) {
  t->prev->next = t->next;
  t->next->prev = t->prev;
  t->next = t->prev = NULL;
}

static void list_move(halo_timer *from, halo_timer *to) {
  list_open(to);
  if (list_empty(from)) return;
  *to = *from;
  to->next->prev = to->prev->next = to;
  list_open(from);
}

/* --- The wheel -------------------------------------------------------------------- */

static void place(halo_wheel *w, halo_timer *t, int *level, int *slot) {
  uint64_t differs = t->due ^ w->now;
  *level = differs == 0 ? 0 : (63 - __builtin_clzll(differs)) / WHEEL_BITS;
  *slot = (int)((t->due >> (*level * WHEEL_BITS)) & (WHEEL_SLOTS - 1));
}

static void wheel_add(halo_wheel *w, halo_timer *t) {
  int level, slot;
  place(w, t, &level, &slot);
  list_append(&w->slots[level][slot], t);
  w->bits[level] |= (uint64_t)1 << slot;
}

static void wheel_remove(halo_wheel *w, halo_timer *t) {
  int level, slot;
  place(w, t, &level, &slot);
  list_remove(t);
  if (list_empty(&w->slots[level][slot]))
    w->bits[level] &= ~((uint64_t)1 << slot);
}

/* The next time at which the wheel has something to do: a timer that is due
 * or a slot to deal out; its level and slot. UINT64_MAX: never. */
static uint64_t wheel_next(const halo_wheel *w, int *level, int *slot) {
  for (int l = 0; l < WHEEL_LEVELS; l++) {
    if (w->bits[l] == 0) continue;
    int shift = l * WHEEL_BITS;
    *level = l;
    *slot = __builtin_ctzll(w->bits[l]);
    uint64_t above = w->now >> shift >> WHEEL_BITS << WHEEL_BITS << shift;
    return above + ((uint64_t)*slot << shift);
  }
  return UINT64_MAX;
}

static void on_timer(uv_timer_t *uv);

static void wheel_open(halo_runtime *rt) {
  halo_wheel *w = &rt->wheel;
  uv_loop_t *loop = halo_loop(rt);
  for (int l = 0; l < WHEEL_LEVELS; l++)
    for (int s = 0; s < WHEEL_SLOTS; s++) list_open(&w->slots[l][s]);
  uv_timer_init(loop, &w->uv);
  uv_unref((uv_handle_t *)&w->uv);
  w->uv.data = rt;
  w->now = uv_now(loop);
  w->armed = UINT64_MAX;
  w->open = true;
}

/* Sets libuv's one timer to the next time that matters. */
static void arm(halo_runtime *rt) {
  halo_wheel *w = &rt->wheel;
  int level, slot;
  uint64_t next = wheel_next(w, &level, &slot);
  if (next == w->armed) return;
  w->armed = next;
  if (next == UINT64_MAX) {
    uv_timer_stop(&w->uv);
    return;
  }
  /* Never 0: libuv would call it again at once, before it polls. */
  uint64_t now = uv_now(rt->loop);
  uv_timer_start(&w->uv, on_timer, next > now ? next - now : 1, 0);
}

static void count_ref(halo_runtime *rt, int change) {
  halo_wheel *w = &rt->wheel;
  size_t before = w->refs;
  w->refs += (size_t)change;
  if (before == 0 && w->refs > 0) uv_ref((uv_handle_t *)&w->uv);
  if (before > 0 && w->refs == 0) uv_unref((uv_handle_t *)&w->uv);
}

void halo_timer_set_ref(halo_runtime *rt, halo_timer *t, bool ref) {
  if (t->unref == !ref) return;
  t->unref = !ref;
  if (t->next != NULL) count_ref(rt, ref ? 1 : -1);
}

uint64_t halo_now(halo_runtime *rt) { return uv_now(halo_loop(rt)); }

void halo_timer_insert(halo_runtime *rt, halo_timer *t, uint64_t ms) {
  halo_wheel *w = &rt->wheel;
  if (rt->closing) return;
  if (!w->open) wheel_open(rt);
  uv_update_time(rt->loop);
  t->due = (uv_now(rt->loop) + (ms < 1 ? 1 : ms)) & 0xffffffffffff;
  if (w->count == 0 && w->armed == UINT64_MAX)
    w->now = uv_now(rt->loop); /* nothing in it: it may jump */
  wheel_add(w, t);
  w->count++;
  if (!t->unref) count_ref(rt, 1);
  if (t->due < w->armed) arm(rt);
}

void halo_timer_remove(halo_runtime *rt, halo_timer *t) {
  if (t->next == NULL) return;
  if (rt->closing) {
    list_remove(t);
    return;
  }
  wheel_remove(&rt->wheel, t);
  rt->wheel.count--;
  if (!t->unref) count_ref(rt, -1);
}

void halo_timer_set(halo_runtime *rt, halo_calltimer *t, uint64_t ms) {
  halo_timer_remove(rt, &t->node);
  t->node.kind = HALO_TIMER_CALL;
  halo_timer_insert(rt, &t->node, ms);
}

void halo_timer_clear(halo_runtime *rt, halo_calltimer *t) {
  halo_timer_remove(rt, &t->node);
}

static void fire_user(halo_runtime *rt, user_timer *t);

static halo_task *task_of(halo_timer *node) {
  return (halo_task *)((char *)node - offsetof(halo_task, own.node));
}

/* One timer, which is out of its list by now; then the drain. */
static void fire(halo_runtime *rt, halo_timer *t) {
  switch (t->kind) {
  case HALO_TIMER_CALL:
    ((halo_calltimer *)t)->fire(rt, (halo_calltimer *)t);
    break;
  case HALO_TIMER_USER:
    fire_user(rt, (user_timer *)t);
    break;
  case HALO_TIMER_SLEEP:
  case HALO_TIMER_YIELD:
    halo_wait_finish(rt, &task_of(t)->own.wait, 0);
    break;
  }
  halo_drain(rt);
}

/* All that is due by now. What is set meanwhile is due later. */
static void on_timer(uv_timer_t *uv) {
  halo_runtime *rt = uv->data;
  halo_wheel *w = &rt->wheel;
  uint64_t until = uv_now(rt->loop);
  w->armed = UINT64_MAX;
  for (;;) {
    int level = 0, slot = 0;
    uint64_t next = wheel_next(w, &level, &slot);
    if (next > until || rt->stopped) break;
    halo_timer *list = &w->slots[level][slot];
    if (next > w->now) w->now = next;
    if (level == 0) {
      halo_timer *t = list->next;
      halo_timer_remove(rt, t);
      fire(rt, t);
      continue;
    }
    halo_timer all;
    list_move(list, &all);
    w->bits[level] &= ~((uint64_t)1 << slot);
    while (!list_empty(&all)) {
      halo_timer *t = all.next;
      list_remove(t);
      wheel_add(w, t);
    }
  }
  w->armed = UINT64_MAX;
  arm(rt);
}

/* --- Immediates ------------------------------------------------------------------------ */

static void on_check(uv_check_t *check) {
  halo_runtime *rt = check->data;
  halo_immediates *im = &rt->immediates;
  list_move(&im->queue, &im->running);
  while (!list_empty(&im->running) && !rt->stopped) {
    halo_timer *t = im->running.next;
    halo_immediate_remove(rt, t);
    fire(rt, t);
  }
  while (!list_empty(&im->running)) { /* stopped: they are next, then */
    halo_timer *t = im->running.prev;
    list_remove(t);
    t->prev = &im->queue;
    t->next = im->queue.next;
    t->next->prev = t;
    im->queue.next = t;
  }
}

static void on_idle(uv_idle_t *idle) { (void)idle; }

static void immediates_open(halo_runtime *rt) {
  halo_immediates *im = &rt->immediates;
  uv_loop_t *loop = halo_loop(rt);
  list_open(&im->queue);
  list_open(&im->running);
  uv_check_init(loop, &im->check);
  uv_idle_init(loop, &im->idle);
  im->check.data = im->idle.data = rt;
  uv_check_start(&im->check, on_check);
  uv_unref((uv_handle_t *)&im->check);
  im->open = true;
}

void halo_immediate_add(halo_runtime *rt, halo_timer *t) {
  halo_immediates *im = &rt->immediates;
  if (!im->open) immediates_open(rt);
  list_append(&im->queue, t);
  if (!t->unref && im->refs++ == 0) uv_idle_start(&im->idle, on_idle);
}

void halo_immediate_remove(halo_runtime *rt, halo_timer *t) {
  halo_immediates *im = &rt->immediates;
  if (t->next == NULL) return;
  list_remove(t);
  if (rt->closing) return;
  if (!t->unref && --im->refs == 0) uv_idle_stop(&im->idle);
}

/* --- halo.timers ---------------------------------------------------------------------------
 * Records are small and in slabs that are never given back while the runtime
 * lives, so that a handle can tell by the serial number that its own is gone. */

struct user_timer {
  halo_timer node;
  int slot; /* its function, or the packed call */
  uint32_t serial;
  uint64_t ms : 48;
  uint64_t repeats : 1;
  uint64_t packed : 1;
  uint64_t immediate : 1;
  uint64_t firing : 1;
  uint64_t cleared : 1; /* while firing */
  halo_site *site;
  halo_context *context;
};

enum { SLAB = 256 };

typedef struct slab {
  struct slab *next;
  user_timer timers[SLAB];
} slab;

typedef struct timer_object {
  const halo_class *class;
  user_timer *timer;
  uint32_t serial;
  bool packed, immediate, repeats, unref;
  uint64_t ms;
} timer_object;
static const halo_class timer_class;

static user_timer *take_timer(halo_runtime *rt) {
  if (rt->free_timers == NULL) {
    slab *s = halo_alloc(NULL, sizeof *s);
    s->next = rt->timer_slabs;
    rt->timer_slabs = s;
    for (int i = SLAB - 1; i >= 0; i--) {
      s->timers[i].serial = 0;
      s->timers[i].node.next = (halo_timer *)rt->free_timers;
      rt->free_timers = &s->timers[i];
    }
  }
  user_timer *t = rt->free_timers;
  rt->free_timers = (user_timer *)t->node.next;
  *t = (user_timer){.node = {.kind = HALO_TIMER_USER},
                    .serial = ++rt->timer_serial};
  return t;
}

/* The record is free again; its handle, if any, knows by the serial. */
static void give_timer(halo_runtime *rt, user_timer *t) {
  halo_anchor_drop(rt, t->slot);
  halo_site_drop(t->site);
  halo_context_drop(rt, t->context);
  t->serial = 0;
  t->node.next = (halo_timer *)rt->free_timers;
  rt->free_timers = t;
}

static void set_timer(halo_runtime *rt, user_timer *t) {
  if (t->immediate)
    halo_immediate_add(rt, &t->node);
  else
    halo_timer_insert(rt, &t->node, t->ms);
}

static void unset_timer(halo_runtime *rt, user_timer *t) {
  if (t->immediate)
    halo_immediate_remove(rt, &t->node);
  else
    halo_timer_remove(rt, &t->node);
}

static void fire_user(halo_runtime *rt, user_timer *t) {
  int n = halo_unpack(rt->scratch, rt, t->slot, t->packed);
  if (!t->repeats) {
    halo_site *site = halo_site_keep(t->site);
    halo_context *context = halo_context_keep(t->context);
    give_timer(rt, t);
    halo_callback(rt, n, site, context, NULL, NULL);
    halo_site_drop(site);
    halo_context_drop(rt, context);
    return;
  }
  t->firing = 1;
  halo_callback(rt, n, t->site, t->context, NULL, NULL);
  halo_drain(rt); /* what it queued may clear it, too */
  t->firing = 0;
  if (t->cleared)
    give_timer(rt, t);
  else if (t->node.next == NULL)
    set_timer(rt, t);
}

uint64_t halo_check_ms(lua_State *L, int index) {
  lua_Number s = luaL_checknumber(L, index);
  luaL_argcheck(L, s >= 0 && s <= 2147483648.0, index,
                "time out of range (seconds, 0 to 2^31)");
  return (uint64_t)ceil(s * 1000 - 1e-6);
}

static int new_timer(lua_State *L, int nargs, uint64_t ms, bool repeats,
                     bool immediate) {
  halo_runtime *rt = halo_rt(L);
  halo_check_open(L, rt);
  timer_object *o = halo_object_new(L, &timer_class, sizeof *o, 1);
  lua_insert(L, 1);
  bool packed = halo_pack(L, 2, nargs);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1); /* for refresh after it has fired */
  int slot = halo_anchor(L, rt);
  user_timer *t = take_timer(rt);
  t->slot = slot;
  t->packed = packed;
  t->ms = ms;
  t->repeats = repeats;
  t->immediate = immediate;
  t->site = halo_site_here(L);
  t->context = halo_context_here(rt);
  *o = (timer_object){.class = &timer_class,
                      .timer = t,
                      .serial = t->serial,
                      .packed = packed,
                      .immediate = immediate,
                      .repeats = repeats,
                      .ms = ms};
  set_timer(rt, t);
  lua_settop(L, 1);
  return 1;
}

static void check_function(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    luaL_typeerror(L, index, "function");
  lua_pop(L, 1);
}

static int set_after(lua_State *L, bool repeats) {
  check_function(L, 1);
  uint64_t ms = lua_isnoneornil(L, 2) ? 1 : halo_check_ms(L, 2);
  int n = lua_gettop(L);
  if (n >= 2) {
    lua_remove(L, 2);
    n -= 2;
  } else
    n = 0;
  return new_timer(L, n, ms, repeats, false);
}

/* timers.set_timeout(fn, seconds, ...) -> Timer */
static int set_timeout(lua_State *L) { return set_after(L, false); }

/* timers.set_interval(fn, seconds, ...) -> Timer */
static int set_interval(lua_State *L) { return set_after(L, true); }

/* timers.set_immediate(fn, ...) -> Timer */
static int set_immediate(lua_State *L) {
  check_function(L, 1);
  return new_timer(L, lua_gettop(L) - 1, 0, false, true);
}

/* The record of the handle at 1, or NULL if it has fired or was cleared. */
static user_timer *check_timer(lua_State *L, timer_object **o) {
  *o = halo_object_check(L, 1, &timer_class);
  user_timer *t = (*o)->timer;
  if (t == NULL || halo_rt(L)->timer_slabs == NULL) return NULL;
  return t->serial == (*o)->serial && !t->cleared ? t : NULL;
}

/* timer:clear(); close is the same */
static int timer_clear(lua_State *L) {
  timer_object *o;
  user_timer *t = check_timer(L, &o);
  halo_runtime *rt = halo_rt(L);
  o->timer = NULL;
  if (t == NULL || rt->closing) return 0;
  unset_timer(rt, t);
  if (t->firing)
    t->cleared = 1;
  else
    give_timer(rt, t);
  return 0;
}

/* timers.clear(timer|nil) */
static int timers_clear(lua_State *L) {
  if (lua_isnoneornil(L, 1)) return 0;
  return timer_clear(L);
}

static int change_ref(lua_State *L, bool unref) {
  timer_object *o;
  user_timer *t = check_timer(L, &o);
  halo_runtime *rt = halo_rt(L);
  o->unref = unref;
  if (t != NULL && t->node.unref != unref) {
    if (t->node.next == NULL)
      t->node.unref = unref;
    else if (t->immediate) {
      halo_immediates *im = &rt->immediates;
      t->node.unref = unref;
      if (unref && --im->refs == 0) uv_idle_stop(&im->idle);
      if (!unref && im->refs++ == 0) uv_idle_start(&im->idle, on_idle);
    } else {
      t->node.unref = unref;
      count_ref(rt, unref ? -1 : 1);
    }
  }
  lua_settop(L, 1);
  return 1;
}

/* timer:ref() -> timer */
static int timer_ref(lua_State *L) { return change_ref(L, false); }
/* timer:unref() -> timer: it does not keep the process up */
static int timer_unref(lua_State *L) { return change_ref(L, true); }

/* timer:has_ref() -> boolean */
static int timer_has_ref(lua_State *L) {
  timer_object *o;
  check_timer(L, &o);
  lua_pushboolean(L, !o->unref);
  return 1;
}

/* timer:refresh() -> timer: its time begins anew, also after it has fired */
static int timer_refresh(lua_State *L) {
  timer_object *o;
  user_timer *t = check_timer(L, &o);
  halo_runtime *rt = halo_rt(L);
  lua_settop(L, 1);
  if (o->timer == NULL || o->immediate || rt->closing) return 1;
  if (t == NULL) {
    lua_getiuservalue(L, 1, 1);
    int slot = halo_anchor(L, rt);
    t = take_timer(rt);
    t->slot = slot;
    t->packed = o->packed;
    t->ms = o->ms;
    t->repeats = o->repeats;
    t->node.unref = o->unref;
    t->site = halo_site_here(L);
    t->context = halo_context_here(rt);
    o->timer = t;
    o->serial = t->serial;
  } else
    unset_timer(rt, t);
  set_timer(rt, t);
  return 1;
}

static const luaL_Reg timer_methods[] = {{"clear", timer_clear},
                                         {"close", timer_clear},
                                         {"ref", timer_ref},
                                         {"unref", timer_unref},
                                         {"has_ref", timer_has_ref},
                                         {"refresh", timer_refresh},
                                         {NULL, NULL}};
static const luaL_Reg timer_meta[] = {{"__close", timer_clear}, {NULL, NULL}};
static const halo_class timer_class = {"halo.Timer", NULL, timer_methods,
                                       timer_meta};

/* --- What is open; the end ---------------------------------------------------------------- */

/* Appends those of halo.timers to the list on top. */
static void list_one(lua_State *L, halo_runtime *rt, user_timer *t) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, t->immediate ? "immediate" : "timer");
  lua_setfield(L, -2, "kind");
  lua_pushfstring(L, "%f s%s%s", (lua_Number)t->ms / 1000,
                  t->repeats ? ", repeats" : "",
                  t->site == NULL ? "" : ", set at ");
  if (t->site != NULL) {
    lua_pushfstring(L, "%s:%d", t->site->source, t->site->line);
    lua_concat(L, 2);
  }
  lua_setfield(L, -2, "detail");
  uint64_t now = uv_now(rt->loop);
  uint64_t set = t->immediate || t->node.next == NULL
                     ? now
                     : t->node.due - (t->ms < 1 ? 1 : t->ms);
  double created = (double)set / 1e3 - (double)rt->started_at / 1e9;
  lua_pushnumber(L, created < 0 ? 0 : created);
  lua_setfield(L, -2, "created_at");
  lua_pushnumber(L, now > set ? (double)(now - set) / 1e3 : 0.0);
  lua_setfield(L, -2, "age");
  if (t->node.unref) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "unref");
  }
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

void halo_timers_list(lua_State *L, halo_runtime *rt) {
  for (slab *s = rt->timer_slabs; s != NULL; s = s->next)
    for (int i = 0; i < SLAB; i++)
      if (s->timers[i].serial != 0 && !s->timers[i].cleared)
        list_one(L, rt, &s->timers[i]);
}

void halo_timers_close(halo_runtime *rt) {
  if (rt->wheel.open) uv_close((uv_handle_t *)&rt->wheel.uv, NULL);
  if (rt->immediates.open) {
    uv_close((uv_handle_t *)&rt->immediates.check, NULL);
    uv_close((uv_handle_t *)&rt->immediates.idle, NULL);
  }
}

void halo_timers_free(halo_runtime *rt) {
  slab *s = rt->timer_slabs;
  while (s != NULL) {
    slab *next = s->next;
    for (int i = 0; i < SLAB; i++)
      if (s->timers[i].serial != 0) halo_context_drop(rt, s->timers[i].context);
    free(s);
    s = next;
  }
  rt->timer_slabs = NULL;
  rt->free_timers = NULL;
}

int halo_open_timers(lua_State *L) {
  static const luaL_Reg funcs[] = {{"set_timeout", set_timeout},
                                   {"set_interval", set_interval},
                                   {"set_immediate", set_immediate},
                                   {"clear", timers_clear},
                                   {NULL, NULL}};
  halo_class_register(L, &timer_class);
  lua_newtable(L);
  halo_setfuncs(L, funcs);
  lua_setfield(L, -2, "timers");
  return 0;
}
