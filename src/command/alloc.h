/* The command's allocator: free lists of small sizes over malloc. */
#ifndef HALO_COMMAND_ALLOC_H
#define HALO_COMMAND_ALLOC_H

#include <stddef.h>

typedef struct halo_heap halo_heap;

/* A heap for one Lua state; NULL when memory is out. */
halo_heap *halo_heap_new(void);
/* Frees all its memory, after lua_close. */
void halo_heap_free(halo_heap *heap);
/* The lua_Alloc; ud is the heap. */
void *halo_heap_alloc(void *ud, void *p, size_t osize, size_t nsize);

#endif
