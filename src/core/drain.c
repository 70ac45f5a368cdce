/* The drain: ticks, then microtasks, again until both are empty. */
#include <stdlib.h>

#include "core/state.h"

void halo_enqueue(halo_queue *q, void *p, int kind, int slot) {
  if (q->entries == NULL || q->size > q->mask) {
    size_t old = q->entries == NULL ? 0 : q->mask + 1;
    size_t size = old == 0 ? 64 : old * 2;
    q->entries = halo_alloc(q->entries, size * sizeof *q->entries);
    /* what had wrapped round goes behind the old end */
    for (size_t i = 0; i < q->head && old != 0; i++)
      q->entries[old + i] = q->entries[i];
    q->mask = size - 1;
  }
  q->entries[(q->head + q->size++) & q->mask] =
      (halo_entry){.p = p, .kind = kind, .slot = slot};
}

static halo_entry take(halo_queue *q) {
  halo_entry e = q->entries[q->head];
  q->head = (q->head + 1) & q->mask;
  if (--q->size == 0 && q->mask >= 65535) { /* a flood has passed */
    free(q->entries);
    *q = (halo_queue){NULL, 0, 0, 0};
  }
  return e;
}

static void run_entry(halo_runtime *rt, halo_entry e) {
  switch (e.kind) {
  case ENTRY_START:
    halo_task_start(rt, e.p);
    break;
  case ENTRY_SPAWN:
    halo_task_spawned(rt, e.p, e.slot);
    break;
  case ENTRY_RESUME:
    halo_task_resume(rt, e.p);
    break;
  case ENTRY_INTERRUPT: {
    halo_task *t = e.p; /* records are reused, but never freed */
    if (t->state != TASK_ENDED && (int)t->id == e.slot) halo_interrupt(t);
    break;
  }
  case ENTRY_REACTION:
    halo_reaction_run(rt, e.slot);
    break;
  case ENTRY_ADOPT:
    halo_adopt_run(rt, e.slot);
    break;
  }
}

void halo_drain(halo_runtime *rt) {
  if (rt->draining || rt->closing) return;
  rt->draining = true;
  while (!rt->stopped) {
    /* A body that has gone on without suspending after a wait is in the
     * microtask phase already: what it queued as ticks comes after. */
    while (!rt->in_microtasks && rt->ticks.size > 0 && !rt->stopped)
      run_entry(rt, take(&rt->ticks));
    while (rt->microtasks.size > 0 && !rt->stopped)
      run_entry(rt, take(&rt->microtasks));
    rt->in_microtasks = false;
    if (rt->ticks.size > 0) continue;
    if (rt->nrejections == 0 || !halo_rejections_run(rt)) break;
  }
  rt->draining = false;
}
