/* The command's Lua state. */
#ifndef HALO_COMMAND_STATE_H
#define HALO_COMMAND_STATE_H

#include <lua.h>

struct halo_heap;

typedef struct halo_state {
  struct halo_heap *heap;
  int warnings;
} halo_state;

/* A new state, or NULL when memory is out; 's' outlives it. */
lua_State *halo_state_new(halo_state *s);
void halo_state_close(halo_state *s, lua_State *L);

#endif
