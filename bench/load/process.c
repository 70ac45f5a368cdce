/* Runs a command some times: medians of wall time, CPU time (user and system) and peak RSS.
 *
 *   process [--runs=1] [--limit=120] -- command ...
 *
 * The command's stdout goes to ours. Prints "name value" lines. */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
  qsort(values, n, sizeof *values, compare);
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* One run; the exit status of wait4. */
static int run(char **command, struct rusage *usage, double *wall) {
  int status;
  double begin = now();

  server_pid =
      vfork(); /* far cheaper than fork, which would count as the command's time */
  if (server_pid < 0) fail("vfork: %s", strerror(errno));
  if (server_pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(command[0], command);
    _exit(127);
  }
  while (wait4(server_pid, &status, 0, usage) < 0)
    if (errno != EINTR) fail("wait4: %s", strerror(errno));
  server_pid = 0;
  *wall = 1000 * (now() - begin);
  return status;
}

int main(int argc, char **argv) {
  size_t runs = 1;
  unsigned limit = 120;
  int i;

  for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *v;
    if ((v = option(argv[i], "runs")) != NULL)
      runs = (size_t)atol(v);
    else if ((v = option(argv[i], "limit")) != NULL)
      limit = (unsigned)atoi(v);
    else
      fail("unknown option %s", argv[i]);
  }
  if (i + 1 >= argc) fail("no command");
  if (runs < 1 || runs > 100000) fail("--runs out of range");
  char **command = argv + i + 1;
  double *wall = calloc(runs, sizeof *wall), *cpu = calloc(runs, sizeof *cpu),
         *rss = calloc(runs, sizeof *rss);
  if (wall == NULL || cpu == NULL || rss == NULL) fail("out of memory");

  deadline(limit);
  for (size_t k = 0; k < runs; k++) {
    struct rusage usage;
    int status = run(command, &usage, &wall[k]);

    if (WIFSIGNALED(status))
      fail("%s ended by signal %d", command[0], WTERMSIG(status));
    if (WEXITSTATUS(status) == 127) fail("cannot run %s", command[0]);
    if (WEXITSTATUS(status) != 0)
      fail("%s ended with exit code %d", command[0], WEXITSTATUS(status));
    cpu[k] = 1000 * (seconds(usage.ru_utime) + seconds(usage.ru_stime));
    rss[k] = (double)usage.ru_maxrss / 1024;
  }
  printf("wall_ms %.3f\n", median(wall, runs));
  printf("cpu_ms %.3f\n", median(cpu, runs));
  printf("rss_mib %.3f\n", median(rss, runs));
  return 0;
}
