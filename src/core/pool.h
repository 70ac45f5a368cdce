/* The thread pool: libuv's, sized by the number of cores, behind one helper.
 *
 *   typedef struct { halo_job job; … } stat_job;       malloc'ed by you
 *   job->work runs on a pool thread, touches only the record;
 *   job->push runs on the loop's thread in protected mode: pushes the results
 *   (as a C function: light userdata 1 is the job) and returns their number;
 *   job->free frees the record, always last, whatever became of the task. */
#ifndef HALO_CORE_POOL_H
#define HALO_CORE_POOL_H

#include "core/task.h"

typedef struct halo_job halo_job;
struct halo_job {
  halo_wait wait;
  uv_work_t uv;
  halo_runtime *rt;
  void (*work)(halo_job *job);
  lua_CFunction push;
  void (*free)(halo_job *job);
};

/* Hands the job to the pool and suspends the task until it is done; to be
 * returned. If the task is cancelled a job that has not begun is dropped, one
 * that runs is let run to its end with nobody waiting. */
int halo_job_wait(lua_State *L, halo_job *job, const char *what);

#endif
