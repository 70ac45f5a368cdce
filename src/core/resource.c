/* What is open: the list behind halo.resources(). */
#include "core/resource.h"

#include <stdio.h>

#include "core/state.h"

void halo_resource_add(halo_runtime *rt, halo_resource *r, const char *kind,
                       void (*close)(halo_resource *r)) {
  r->kind = kind;
  r->close = close;
  r->created_at = uv_hrtime();
  r->prev = rt->resources.prev;
  r->next = &rt->resources;
  r->prev->next = r;
  r->next->prev = r;
}

void halo_resource_remove(halo_resource *r) {
  if (r->next == NULL) return;
  r->prev->next = r->next;
  r->next->prev = r->prev;
  r->next = r->prev = NULL;
}

/* Appends {kind, detail, created_at, age} to the list on top.  [-0, +0, m] */
static void append(lua_State *L, halo_runtime *rt, const char *kind,
                   const char *detail, uint64_t created_at, bool unref) {
  if (created_at < rt->started_at) created_at = rt->started_at;
  lua_createtable(L, 0, 4);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, detail);
  lua_setfield(L, -2, "detail");
  lua_pushnumber(L, (double)(created_at - rt->started_at) / 1e9);
  lua_setfield(L, -2, "created_at");
  lua_pushnumber(L, (double)(uv_hrtime() - created_at) / 1e9);
  lua_setfield(L, -2, "age");
  if (unref) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "unref");
  }
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* halo.resources() -> list of {kind=, detail=, created_at=, age=}
 * Times in seconds, created_at since the runtime's start. */
static int resources(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  /* A finalizer might close one of them while the list is walked. */
  bool collecting = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  lua_newtable(L);
  for (halo_resource *r = rt->resources.next; r != &rt->resources;
       r = r->next) {
    char text[256] = "";
    if (r->describe != NULL) r->describe(r, text, sizeof text);
    append(L, rt, r->kind, text, r->created_at, r->unref);
  }
  for (halo_task *t = rt->tasks.next; t != &rt->tasks; t = t->next) {
    if (t == rt->current || t->state != TASK_WAITING || t->wait == NULL)
      continue;
    char text[256];
    snprintf(text, sizeof text, "%s%s%s%s%d", t->wait->what,
             t->site ? ", spawned at " : "", t->site ? t->site->source : "",
             t->site ? ":" : ", task ", t->site ? t->site->line : (int)t->id);
    append(L, rt, "task", text, t->own.created_at, false);
  }
  halo_timers_list(L, rt);
  if (collecting) lua_gc(L, LUA_GCRESTART);
  return 1;
}

int halo_open_resource(lua_State *L) {
  static const luaL_Reg funcs[] = {{"resources", resources}, {NULL, NULL}};
  halo_setfuncs(L, funcs);
  return 0;
}
