/* The command's Lua state: luaL_newstate with an allocator of our own, and so
 * with the panic and warning functions that lauxlib keeps to itself. */
#include "command/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/alloc.h"

/* What warnings are to come: none, or the next piece of one. */
enum { OFF, ON, CONTINUES };

static int panic(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
          text == NULL ? "error object is not a string" : text);
  return 0;
}

/* "@on" and "@off" are for us; pieces of one warning are joined. */
static void warn(void *ud, const char *text, int more) {
  int *state = ud;
  if (*state != CONTINUES && !more && text[0] == '@') {
    if (strcmp(text, "@on") == 0) *state = ON;
    if (strcmp(text, "@off") == 0) *state = OFF;
    return;
  }
  if (*state == OFF) return;
  fprintf(stderr, "%s%s%s", *state == ON ? "Lua warning: " : "", text,
          more ? "" : "\n");
  fflush(stderr);
  *state = more ? CONTINUES : ON;
}

lua_State *halo_state_new(halo_state *s) {
  s->warnings = OFF;
  s->heap = halo_heap_new();
  if (s->heap == NULL) return NULL;
  lua_State *L = lua_newstate(halo_heap_alloc, s->heap);
  if (L == NULL) return NULL;
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, &s->warnings);
  return L;
}

void halo_state_close(halo_state *s, lua_State *L) {
  lua_close(L);
  halo_heap_free(s->heap);
}
