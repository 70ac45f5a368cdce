/* Where it failed: spawn sites, tracebacks, and the report of errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"

/* --- Sites ------------------------------------------------------------------------ */

/* Lua code of our own is no site of the user's. */
static bool internal(const char *source) {
  return strncmp(source, "=halo/", 6) == 0 ||
         strncmp(source, "=[halo", 6) == 0 || strstr(source, "lua/halo/") ||
         strstr(source, "/5.4/halo/");
}

static unsigned hash_site(const char *source, int line,
                          const halo_site *parent) {
  unsigned h = (unsigned)line * 2654435761u ^ (unsigned)(uintptr_t)parent;
  while (*source != '\0') h = h * 31 + (unsigned char)*source++;
  return h;
}

/* A chain that comes by its own place again is a loop: it goes on from where
 * it was, so that chains do not grow. */
static halo_site *recurs(halo_site *parent, const char *source, int line) {
  for (halo_site *s = parent; s != NULL; s = s->parent)
    if (s->line == line && strcmp(s->source, source) == 0) return s;
  return NULL;
}

/* Frees the sites that nothing names any more but the table. */
static void sweep_sites(halo_runtime *rt) {
  rt->last_site = NULL;
  rt->last_source = NULL;
  for (bool freed = true; freed;) { /* a freed site lets its parent go */
    freed = false;
    for (int i = 0; i < SITE_BUCKETS; i++)
      for (halo_site **at = &rt->sites[i]; *at != NULL;) {
        halo_site *s = *at;
        if (s->refs > 1) {
          at = &s->next;
          continue;
        }
        *at = s->next;
        halo_site_drop(s->parent);
        free(s);
        rt->nsites--;
        freed = true;
      }
  }
  rt->sites_limit = rt->nsites * 2 + SITES_SWEPT;
}

static halo_site *intern(halo_runtime *rt, halo_site *parent,
                         const char *source, int line) {
  halo_site *s = recurs(parent, source, line);
  if (s != NULL) return halo_site_keep(s);
  if (parent != NULL && parent->depth >= SITE_DEPTH) parent = NULL;
  unsigned hash = hash_site(source, line, parent);
  halo_site **bucket = &rt->sites[hash % SITE_BUCKETS];
  for (s = *bucket; s != NULL; s = s->next)
    if (s->hash == hash && s->line == line && s->parent == parent &&
        strcmp(s->source, source) == 0)
      return halo_site_keep(s);
  if (rt->nsites >= rt->sites_limit) {
    halo_site_keep(parent); /* the running task's, or its truncated chain */
    sweep_sites(rt);
    halo_site_drop(parent);
    bucket = &rt->sites[hash % SITE_BUCKETS];
  }
  rt->nsites++;
  size_t size = strlen(source) + 1;
  s = halo_alloc(NULL, sizeof *s + size);
  *s = (halo_site){.parent = halo_site_keep(parent),
                   .next = *bucket,
                   .refs = 2, /* one is the table's: sites are few */
                   .line = line,
                   .hash = hash,
                   .depth = parent == NULL ? 0 : parent->depth + 1};
  memcpy(s->source, source, size);
  *bucket = s;
  return s;
}

halo_site *halo_site_here(lua_State *L) {
  lua_Debug ar;
  halo_runtime *rt = halo_rt(L);
  for (int level = 1; level < 12 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline < 0) continue;
    halo_site *parent = rt->current != NULL ? rt->current->site : NULL;
    halo_site *last = rt->last_site; /* mostly the same, in a loop */
    if (ar.source == rt->last_source && ar.currentline == last->line &&
        parent == rt->last_parent && strcmp(ar.short_src, last->source) == 0)
      return halo_site_keep(last);
    if (internal(ar.source)) continue;
    rt->last_source = ar.source;
    rt->last_parent = parent;
    rt->last_site = intern(rt, parent, ar.short_src, ar.currentline);
    return rt->last_site;
  }
  return halo_site_keep(rt->current != NULL ? rt->current->site : NULL);
}

halo_site *halo_site_keep(halo_site *s) {
  if (s != NULL) s->refs++;
  return s;
}

void halo_site_drop(halo_site *s) {
  if (s != NULL) s->refs--;
}

/* --- Tracebacks ---------------------------------------------------------------------- */

void halo_trace_set(lua_State *L, halo_runtime *rt) {
  lua_State *S = rt->store;
  lua_xmove(L, S, 2);
  lua_replace(S, AT_RAISED);
  rt->trace_known = !lua_isnil(S, -1);
  lua_replace(S, AT_TRACE);
}

void halo_trace_push(lua_State *L, halo_runtime *rt, int index) {
  lua_State *S = rt->store;
  lua_pushvalue(L, index);
  lua_xmove(L, S, 1);
  bool known = rt->trace_known && lua_rawequal(S, -1, AT_RAISED);
  lua_pop(S, 1);
  if (!known)
    lua_pushnil(L);
  else
    halo_fixed_push(L, rt, AT_TRACE);
}

/* Appends the spawn sites to the text on top. */
static void add_sites(lua_State *L, const halo_site *site) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (const halo_site *s = site; s != NULL; s = s->parent) {
    char line[32];
    luaL_addstring(&b, "\nspawned at ");
    luaL_addstring(&b, s->source);
    snprintf(line, sizeof line, ":%d", s->line);
    luaL_addstring(&b, line);
  }
  luaL_pushresult(&b);
  lua_concat(L, 2);
}

/* The last line of the traceback on top is the base of the task: not the
 * script's. */
void halo_trace_drop_base(lua_State *L) {
  static const char line[] = "\n\t[C]: in ?";
  size_t size, tail = sizeof line - 1;
  const char *text = lua_tolstring(L, -1, &size);
  if (size < tail || strcmp(text + size - tail, line) != 0) return;
  lua_pushlstring(L, text, size - tail);
  lua_replace(L, -2);
}

int halo_handler(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  halo_task *t = rt->current;
  lua_settop(L, 1);
  if (halo_error_is(L, 1, "ECANCELED")) return 1;
  halo_trace_push(L, rt, 1);
  if (!lua_isnil(L, -1)) { /* raised again: it failed where it failed first */
    lua_settop(L, 1);
    return 1;
  }
  lua_pop(L, 1);
  luaL_traceback(L, L, NULL, 1);
  halo_trace_drop_base(L);
  if (t != NULL) add_sites(L, t->site);
  lua_pushvalue(L, 1);
  halo_trace_set(L, rt);
  return 1;
}

/* core.raise(err, traceback): raises err, whose traceback is known */
static int raise_again(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  halo_trace_set(L, halo_rt(L));
  return lua_error(L);
}

/* --- Reports --------------------------------------------------------------------------- */

/* Pushes the text of an error: message, traceback, spawn sites. 1 is the
 * error; 2 the site as light userdata, or NULL. */
static int push_report(lua_State *L) {
  halo_runtime *rt = halo_rt(L);
  const halo_site *site = lua_touserdata(L, 2);
  if (lua_type(L, 1) == LUA_TSTRING || lua_isnumber(L, 1) ||
      luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
    luaL_tolstring(L, 1, NULL);
  else
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  halo_trace_push(L, rt, 1);
  if (lua_isstring(L, -1)) {
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 1);
    add_sites(L, site);
  }
  return 1;
}

/* Leaves the text of the error on top of L in its place. */
static void make_report(halo_runtime *rt, lua_State *L, halo_site *site) {
  lua_State *S = rt->scratch;
  if (L != S) lua_xmove(L, S, 1);
  halo_pushknown(S, rt, push_report);
  lua_insert(S, -2);
  lua_pushlightuserdata(S, site);
  if (lua_pcall(S, 2, 1, 0) != LUA_OK) {
    lua_pop(S, 1);
    lua_pushliteral(S, "(error in __tostring of an error)");
  }
}

static void print_report(halo_runtime *rt) {
  lua_State *S = rt->scratch;
  lua_getfield(S, LUA_REGISTRYINDEX, "halo.progname");
  const char *name = lua_tostring(S, -1);
  fflush(stdout);
  fprintf(stderr, "%s%s%s\n", name == NULL ? "" : name,
          name == NULL ? "" : ": ", lua_tostring(S, -2));
  fflush(stderr);
  lua_pop(S, 2);
}

void halo_report(halo_runtime *rt, lua_State *L, halo_site *site) {
  make_report(rt, L, site);
  print_report(rt);
}

static void hook_done(halo_runtime *rt, void *ud, bool failed, int n) {
  bool *dealt = ud;
  *dealt = !failed && (n == 0 || lua_toboolean(rt->scratch, -n));
}

/* Offers the error on top of scratch to process's "uncaught_error". */
static bool offer(halo_runtime *rt) {
  lua_State *S = rt->scratch;
  bool dealt = true; /* also when it waits */
  if (!halo_hook_push(S, rt, "uncaught_error")) return false;
  lua_pushvalue(S, -2);
  halo_trace_push(S, rt, -1);
  halo_task *t = halo_callback(rt, 2, NULL, NULL, hook_done, &dealt);
  if (t != NULL) {
    t->done = NULL;
    t->ud = NULL;
  }
  return dealt;
}

void halo_uncaught(halo_runtime *rt, lua_State *L, halo_site *site) {
  lua_State *S = rt->scratch;
  if (L != S) lua_xmove(L, S, 1);
  lua_checkstack(S, 20);
  lua_pushvalue(S, -1);
  halo_trace_push(S, rt, -1);
  lua_insert(S, -2); /* error, trace, error: the hook may raise others */
  if (offer(rt)) {
    lua_pop(S, 3);
    return;
  }
  halo_trace_set(S, rt);
  if (!rt->commanded) {
    if (rt->fatal_slot == 0) {
      if (lua_type(S, -1) == LUA_TSTRING) make_report(rt, S, site);
      rt->fatal_slot = halo_anchor(S, rt);
    } else
      lua_pop(S, 1);
  } else {
    halo_report(rt, S, site);
    rt->exit_code = 1;
  }
  rt->stopped = true;
  halo_loop_stop(rt);
}

int halo_open_trace(lua_State *L) {
  static const luaL_Reg funcs[] = {{"raise", raise_again}, {NULL, NULL}};
  halo_setfuncs(L, funcs);
  return 0;
}
