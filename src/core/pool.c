/* The thread pool: libuv's, behind one helper. */
#include "core/pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"

/* libuv reads the size once, at the first use in the process: as many threads
 * as there are cores, four at the least. A user's own setting stands. */
static void size_pool_once(void) {
  if (getenv("UV_THREADPOOL_SIZE") != NULL) return;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (cores <= 4) return; /* libuv's own number */
  char text[16];
  snprintf(text, sizeof text, "%ld", cores > 128 ? 128 : cores);
  setenv("UV_THREADPOOL_SIZE", text, 0);
}

static void size_pool(void) {
  static uv_once_t once = UV_ONCE_INIT;
  uv_once(&once, size_pool_once);
}

/* Jobs that the pool has, of all loops of the process. */
static atomic_int jobs;

void halo_exit(int code) {
  if (atomic_load(&jobs) == 0) exit(code);
  fflush(NULL); /* libuv's destructor would join their threads */
  _exit(code);
}

static void run_job(uv_work_t *uv) {
  halo_job *job = uv->data;
  job->work(job);
}

static void on_done(uv_work_t *uv, int status) {
  halo_job *job = uv->data;
  halo_runtime *rt = job->rt;
  atomic_fetch_sub(&jobs, 1);
  if (status != UV_ECANCELED && job->wait.task != NULL) {
    int n = halo_protect(rt, job->push, job);
    halo_wait_finish(rt, &job->wait, n);
  }
  job->free(job);
  halo_drain(rt);
}

static void cancel_job(halo_wait *w) {
  halo_job *job = (halo_job *)w;   /* its first member */
  uv_cancel((uv_req_t *)&job->uv); /* no more than dropped if it has begun */
}

int halo_job_wait(lua_State *L, halo_job *job, const char *what) {
  halo_runtime *rt = halo_rt(L);
  size_pool();
  job->rt = rt;
  job->uv.data = job;
  job->wait = (halo_wait){.cancel = cancel_job, .what = what};
  int rc = uv_queue_work(halo_loop(rt), &job->uv, run_job, on_done);
  if (rc < 0) {
    job->free(job);
    return halo_fail(L, rc, what, NULL);
  }
  atomic_fetch_add(&jobs, 1);
  return halo_wait_start(L, &job->wait);
}
