#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

pid_t server_pid;
int server_port;
static clockid_t server_clock;

void server_stop(void) {
  if (server_pid > 0) {
    kill(server_pid, SIGKILL);
    while (waitpid(server_pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
  server_pid = 0;
}

void fail(const char *format, ...) {
  va_list arguments;

  fputs("bench: ", stderr);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  if (server_pid > 0) {
    int status;
    usleep(20000); /* it may be about to end */
    if (waitpid(server_pid, &status, WNOHANG) == server_pid) {
      server_pid = 0;
      if (WIFSIGNALED(status))
        fprintf(stderr, " (the server was ended by signal %d)",
                WTERMSIG(status));
      else
        fprintf(stderr, " (the server exited with %d)", WEXITSTATUS(status));
    }
  }
  fputc('\n', stderr);
  server_stop();
  exit(1);
}

static void expired(int signal_number) {
  static const char text[] = "bench: took too long, given up\n";

  (void)signal_number;
  if (server_pid > 0) kill(server_pid, SIGKILL);
  if (write(2, text, sizeof text - 1) < 0) _exit(2);
  _exit(1);
}

void deadline(unsigned seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* end with bench/run */
  signal(SIGINT,
         SIG_DFL); /* a shell's background commands start with these ignored */
  signal(SIGQUIT, SIG_DFL);
  signal(SIGALRM, expired);
  alarm(seconds);
}

static double clock_seconds(clockid_t clock) {
  struct timespec t;

  if (clock_gettime(clock, &t) != 0) fail("clock: %s", strerror(errno));
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double now(void) { return clock_seconds(CLOCK_MONOTONIC); }

double server_cpu(void) { return clock_seconds(server_clock); }

double own_cpu(void) { return clock_seconds(CLOCK_PROCESS_CPUTIME_ID); }

static void pin(int cpu) {
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET((size_t)cpu, &set);
  sched_setaffinity(0, sizeof set, &set); /* better unpinned than not at all */
}

/* The line "listening PORT". */
static int read_port(int fd) {
  char line[256];
  size_t have = 0;
  double end = now() + 20;

  for (;;) {
    struct pollfd p = {fd, POLLIN, 0};
    double left = end - now();
    int port;

    if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) == 0)
      fail("the server did not say \"listening PORT\" within 20 s");
    ssize_t n = read(fd, line + have, sizeof line - 1 - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("the server ended before it was listening");
    have += (size_t)n;
    line[have] = '\0';
    if (memchr(line, '\n', have) != NULL) {
      if (sscanf(line, "listening %d", &port) != 1)
        fail("the server said %.40s", line);
      return port;
    }
    if (have == sizeof line - 1)
      fail("the server did not say \"listening PORT\"");
  }
}

void server_start(char **argv) {
  struct rlimit files;
  cpu_set_t allowed;
  int fds[2], first = -1, last = -1;
  pid_t parent = getpid();

  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    for (int i = 0; i < CPU_SETSIZE; i++)
      if (CPU_ISSET((size_t)i, &allowed)) {
        if (first < 0) first = i;
        last = i;
      }
  if (pipe2(fds, O_CLOEXEC) != 0) fail("pipe: %s", strerror(errno));
  server_pid = fork();
  if (server_pid < 0) fail("fork: %s", strerror(errno));
  if (server_pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    dup2(fds[1], 1);
    if (first != last) pin(first);
    execvp(argv[0], argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
  }
  close(fds[1]);
  if (first != last) pin(last);
  if (clock_getcpuclockid(server_pid, &server_clock) != 0)
    fail("no CPU clock of the server");
  server_port =
      read_port(fds[0]); /* the pipe stays open: the server may print */
}

int server_connect(unsigned source) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0) fail("socket: %s", strerror(errno));
  if (source != 0) {
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    address.sin_addr.s_addr = htonl(source);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
      fail("bind: %s", strerror(errno));
  }
  address.sin_port = htons((unsigned short)server_port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    fail("connect: %s", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  /* Closing resets the connection: no TIME_WAIT uses up the ports. */
  struct linger hard = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  return fd;
}

const char *option(const char *argument, const char *name) {
  size_t length = strlen(name);

  if (strncmp(argument, "--", 2) != 0 ||
      strncmp(argument + 2, name, length) != 0 || argument[2 + length] != '=')
    return NULL;
  return argument + 3 + length;
}
