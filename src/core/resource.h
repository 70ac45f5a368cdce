/* What is open: halo.resources(), --why-alive and the shutdown read it. */
#ifndef HALO_CORE_RESOURCE_H
#define HALO_CORE_RESOURCE_H

#include "core/runtime.h"

typedef struct halo_resource halo_resource;
struct halo_resource {
  halo_resource *next, *prev; /* the runtime's list; NULL: not in it */
  const char *kind;           /* static: "tcp socket", "tcp server" … */
  uint64_t created_at;        /* uv_hrtime */
  /* Writes what it is ("127.0.0.1:8080") into text; may be NULL. */
  void (*describe)(halo_resource *r, char *text, size_t size);
  /* The one function that ends it; callable at any time. After it the
   * resource is out of the list. Must not reach Lua. */
  void (*close)(halo_resource *r);
  bool unref; /* does not keep the process up */
};

void halo_resource_add(halo_runtime *rt, halo_resource *r, const char *kind,
                       void (*close)(halo_resource *r));
void halo_resource_remove(halo_resource *r); /* twice is no error */

#endif
