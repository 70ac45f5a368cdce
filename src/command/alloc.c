/* The command's allocator. Lua tells the size of what it frees, so that small
 * blocks need no header: a block goes on the list of its size (in steps of 16
 * bytes), and the next of that size is taken from there. A collector that
 * frees many at once is what malloc is worst at: spawning and finishing a
 * task takes a quarter less with this. Large blocks are malloc's. */
#include "command/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 16, SMALL = 512, CLASSES = SMALL / STEP, CHUNK = 64 * 1024 };

typedef struct block {
  struct block *next;
} block;

struct halo_heap {
  block *free[CLASSES + 1];
  char *top, *end; /* the part of the newest chunk that was never used */
  block *chunks;
};

halo_heap *halo_heap_new(void) { return calloc(1, sizeof(halo_heap)); }

void halo_heap_free(halo_heap *heap) {
  while (heap->chunks != NULL) {
    block *chunk = heap->chunks;
    heap->chunks = chunk->next;
    free(chunk);
  }
  free(heap);
}

static size_t class_of(size_t size) { return (size + STEP - 1) / STEP; }

static void *refill(halo_heap *heap, size_t size) {
  if ((size_t)(heap->end - heap->top) < size) {
    block *chunk = malloc(CHUNK);
    if (chunk == NULL) return NULL;
    chunk->next = heap->chunks;
    heap->chunks = chunk;
    heap->top = (char *)chunk + STEP;
    heap->end = (char *)chunk + CHUNK;
  }
  void *p = heap->top;
  heap->top += size;
  return p;
}

static void *take(halo_heap *heap, size_t size) {
  if (size > SMALL) return malloc(size);
  size_t c = class_of(size);
  block *b = heap->free[c];
  if (b == NULL) return refill(heap, c * STEP);
  heap->free[c] = b->next;
  return b;
}

static void give(halo_heap *heap, void *p, size_t size) {
  if (size > SMALL) {
    free(p);
    return;
  }
  block *b = p;
  size_t c = class_of(size);
  b->next = heap->free[c];
  heap->free[c] = b;
}

void *halo_heap_alloc(void *ud, void *p, size_t osize, size_t nsize) {
  halo_heap *heap = ud;
#if defined(__SANITIZE_ADDRESS__)
  (void)heap;
  (void)osize;
  (void)take;
  (void)give;
  if (nsize > 0) return realloc(p, nsize);
  free(p);
  return NULL;
#else
  if (p == NULL) return nsize == 0 ? NULL : take(heap, nsize);
  if (nsize == 0) {
    if (osize > 0) give(heap, p, osize);
    return NULL;
  }
  if (osize > SMALL && nsize > SMALL) return realloc(p, nsize);
  if (osize <= SMALL && nsize <= SMALL && class_of(osize) == class_of(nsize))
    return p;
  void *q = take(heap, nsize);
  if (q == NULL) return NULL;
  memcpy(q, p, osize < nsize ? osize : nsize);
  if (osize > 0) give(heap, p, osize);
  return q;
#endif
}
