/* Contexts: values that tasks and callbacks inherit (halo.context). */
#include <stdlib.h>

#include "core/state.h"

halo_context *halo_context_keep(halo_context *c) {
  if (c != NULL) c->refs++;
  return c;
}

halo_context *halo_context_here(halo_runtime *rt) {
  return halo_context_keep(rt->current != NULL ? rt->current->context
                                               : rt->context);
}

void halo_context_drop(halo_runtime *rt, halo_context *c) {
  while (c != NULL && --c->refs == 0) {
    halo_context *parent = c->parent;
    halo_anchor_drop(rt, c->key_slot);
    halo_anchor_drop(rt, c->value_slot);
    free(c);
    c = parent;
  }
}

typedef struct context_object {
  const halo_class *class;
} context_object;
static const halo_class context_class;

/* context.new([default]) -> context */
static int context_new(lua_State *L) {
  lua_settop(L, 1);
  halo_object_new(L, &context_class, sizeof(context_object), 1);
  lua_insert(L, 1);
  lua_setiuservalue(L, 1, 1);
  return 1;
}

/* context:get() -> the value that run gave it here, else its default */
static int context_get(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  const void *key = halo_object_check(L, 1, &context_class);
  halo_context *c = rt->current != NULL ? rt->current->context : rt->context;
  for (; c != NULL; c = c->parent)
    if (c->key == key) {
      halo_anchor_push(L, rt, c->value_slot);
      return 1;
    }
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* context:run(value, fn, ...) -> fn's results                             (waits) */
static int context_run(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  const void *key = halo_object_check(L, 1, &context_class);
  halo_check_callable(L, 3);
  if (rt->current == NULL) return halo_wait_outside(L);
  if (L != rt->running || !lua_isyieldable(L)) halo_cannot_wait(L, L);
  halo_context *c = halo_alloc(NULL, sizeof *c);
  *c = (halo_context){.refs = 1, .key = key};
  c->parent = halo_context_here(rt);
  halo_frame *f = halo_frame_new(L, FRAME_CONTEXT);
  f->context = c; /* from here on the frame's collection would free it */
  lua_pushvalue(L, 1);
  c->key_slot = halo_anchor(L, rt);
  lua_pushvalue(L, 2);
  c->value_slot = halo_anchor(L, rt);
  lua_replace(L, 1);
  halo_fixed_push(L, rt, AT_HANDLER);
  lua_replace(L, 2);
  halo_frame_set_context(rt->current, f);
  return halo_frame_call(L, f);
}

static const luaL_Reg context_methods[] = {
    {"get", context_get}, {"run", context_run}, {NULL, NULL}};
static const halo_class context_class = {"halo.context", NULL, context_methods,
                                         NULL};

int halo_open_context(lua_State *L) {
  static const luaL_Reg funcs[] = {{"context", context_new}, {NULL, NULL}};
  halo_class_register(L, &context_class);
  halo_setfuncs(L, funcs);
  return 0;
}
