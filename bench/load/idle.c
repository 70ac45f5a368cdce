/* Memory of a server per idle keep-alive connection.
 *
 *   idle [--count=10000] [--base=1000] -- server command ...
 *
 * Opens --base connections with one request each and asks for "/gc" (the server then collects its
 * garbage), reads the server's proportional set size; opens --count more the same way, reads it
 * again. All stay open, so nothing freed by the first is there for the others. Kernel memory is
 * not in these figures. Prints "name value" lines. */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void ask(int fd, const char *path) {
  char text[4096];
  size_t have = 0;
  int n = snprintf(text, sizeof text,
                   "GET %s HTTP/1.1\r\nHost: www.example.com\r\n\r\n", path);

  if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
    fail("send: %s", strerror(errno));
  do {
    ssize_t r = recv(fd, text + have, sizeof text - have, 0);
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) fail("recv: %s", strerror(errno));
    if (r == 0 || have + (size_t)r == sizeof text)
      fail("no proper answer to GET %s", path);
    have += (size_t)r;
  } while (memmem(text, have, "\r\n\r\nhello", 9) == NULL);
  if (strncmp(text, "HTTP/1.1 200", 12) != 0)
    fail("not the expected answer: %.30s", text);
}

/* Bytes of private memory and the server's share of what is shared, swapped out or not. */
static double memory(void) {
  char path[64], line[256];
  double kib, sum = 0;
  int found = 0;

  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)server_pid);
  FILE *f = fopen(path, "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "Pss: %lf", &kib) == 1 ||
        sscanf(line, "SwapPss: %lf", &kib) == 1) {
      sum += kib;
      found = 1;
    }
  if (f != NULL) fclose(f);
  if (!found) { /* no such file: the resident set */
    snprintf(path, sizeof path, "/proc/%d/status", (int)server_pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
      if (sscanf(line, "VmRSS: %lf", &kib) == 1) {
        sum = kib;
        found = 1;
      }
    if (f != NULL) fclose(f);
  }
  if (!found) fail("cannot read the server's memory");
  return sum * 1024;
}

static double settled(int control) {
  struct timespec pause = {0, 300000000};

  ask(control, "/gc");
  nanosleep(&pause, NULL);
  ask(control, "/gc");
  nanosleep(&pause, NULL);
  return memory();
}

int main(int argc, char **argv) {
  long count = 10000, base = 1000;
  struct rlimit files;
  int i;

  for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *v;
    if ((v = option(argv[i], "count")) != NULL)
      count = atol(v);
    else if ((v = option(argv[i], "base")) != NULL)
      base = atol(v);
    else
      fail("unknown option %s", argv[i]);
  }
  if (i + 1 >= argc) fail("no command");
  if (count < 1 || base < 1) fail("--count or --base out of range");
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
      files.rlim_max < (rlim_t)(count + base + 100)) {
    if (files.rlim_max < 1000)
      fail("only %lu files may be open", (unsigned long)files.rlim_max);
    count = (long)files.rlim_max - 100;
    base = count / 10;
    count -= base;
  }

  deadline(90);
  server_start(argv + i + 1);
  int *fds = calloc((size_t)(base + count), sizeof *fds);
  if (fds == NULL) fail("out of memory");
  int control = server_connect(0);
  double before = 0;
  for (long k = 0; k < base + count; k++) {
    if (k == base) before = settled(control);
    fds[k] = server_connect(INADDR_LOOPBACK + 1 + (unsigned)(k / 8000));
    ask(fds[k], "/");
  }
  double after = settled(control);
  long closed = 0;
  for (long k = 0; k < base + count; k++) {
    char byte;
    if (recv(fds[k], &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN)
      closed++;
  }
  if (closed != 0)
    fail("the server closed %ld of %ld idle connections", closed, base + count);
  server_stop();
  printf("connections %ld\n", count);
  printf("bytes_per_connection %.0f\n", (after - before) / (double)count);
  printf("server_mib %.1f\n", after / 1048576);
  return 0;
}
