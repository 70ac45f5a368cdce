/* What the load generators share: starting the server under test, its CPU time, its end. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <sys/types.h>

/* Set by server_start. */
extern pid_t server_pid;
extern int server_port;

/* Writes "bench: ..." to stderr, kills the server, ends this process with 1. */
void fail(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Ends this process as fail does after so many seconds, whatever happens. */
void deadline(unsigned seconds);

/* Seconds on the monotonic clock. */
double now(void);

/* CPU seconds, user and system, all threads, of the server and of this process. */
double server_cpu(void);
double own_cpu(void);

/* Runs argv on the first CPU this process may use, waits for its line "listening PORT" on
 * stdout, and moves this process to the last such CPU. The server dies with this process. */
void server_start(char **argv);
void server_stop(void);

/* A blocking TCP connection from source (0: any, else an IPv4 address in host order) to the server. */
int server_connect(unsigned source);

/* "--name=value" in an argument: the value, or NULL. */
const char *option(const char *argument, const char *name);

#endif
