/* Keeps a server busy over some connections and counts its answers per second of its CPU time.
 *
 *   load http|echo [--connections=64] [--seconds=3] [--warm=1] [--headers=1] [--pipeline=1]
 *        [--size=64] -- server command ...
 *
 * http: each connection writes --pipeline GET requests at once, awaits all answers, and again.
 * echo: each connection sends --size bytes, awaits them back, and again.
 * Every answer is checked. Prints "name value" lines. */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 32768, EVENTS = 256 };

struct connection {
  int fd;
  unsigned pending; /* answers still to come for what was written */
  size_t have;      /* bytes in data not yet consumed */
  char data[BUFFER];
};

static int echo;
static unsigned pipeline = 1;
static char request[BUFFER];
static size_t request_size;
static unsigned long answers;

static const char *const header_lines[] = {
    "Host: www.example.com\r\n",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
    "Firefox/128.0\r\n",
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/"
    "*;q=0.8\r\n",
    "Accept-Language: en-US,en;q=0.5\r\n",
    "Accept-Encoding: gzip, deflate, br\r\n",
    "Connection: keep-alive\r\n",
    "Referer: https://www.example.com/articles/2024/\r\n",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; lang=en\r\n",
    "Upgrade-Insecure-Requests: 1\r\n",
};

static void build_request(unsigned headers) {
  unsigned known = sizeof header_lines / sizeof header_lines[0];

  if (headers < 1 || headers > known) fail("--headers is 1 to %u", known);
  if (pipeline < 1 || pipeline > 32) fail("--pipeline is 1 to 32");
  for (unsigned i = 0; i < pipeline; i++) {
    strcat(request, "GET / HTTP/1.1\r\n");
    for (unsigned h = 0; h < headers; h++) strcat(request, header_lines[h]);
    strcat(request, "\r\n");
  }
  request_size = strlen(request);
}

/* Size of the whole answer at p, 0 if it has not all come. */
static size_t answer_size(const char *p, size_t n) {
  static size_t usual; /* answers of one server are as a rule equally long */
  static const char tail[] = "\r\n\r\nhello";
  const size_t tail_size = sizeof tail - 1;

  if (n < 12) return 0;
  if (memcmp(p, "HTTP/1.1 200", 12) != 0)
    fail("not the expected answer: %.*s", (int)(n < 60 ? n : 60), p);
  if (usual != 0 && n >= usual &&
      memcmp(p + usual - tail_size, tail, tail_size) == 0)
    return usual;

  const char *end = memmem(p, n, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end - p) + 4;
  long length = -1;
  for (const char *line = p; line < end;) {
    line = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1;
    if (line < end && strncasecmp(line, "content-length:", 15) == 0)
      length = strtol(line + 15, NULL, 10);
  }
  if (length != 5)
    fail("no Content-Length: 5 in the answer: %.*s", (int)head, p);
  if (n < head + 5) return 0;
  if (memcmp(p + head, "hello", 5) != 0)
    fail("the body is not hello: %.5s", p + head);
  usual = head + 5;
  return usual;
}

static void send_request(struct connection *c) {
  ssize_t n = send(c->fd, request, request_size, MSG_NOSIGNAL);

  if (n < 0) fail("send: %s", strerror(errno));
  if ((size_t)n != request_size) fail("the server does not read");
  c->pending = pipeline;
}

static void readable(struct connection *c) {
  ssize_t n = recv(c->fd, c->data + c->have, BUFFER - c->have, 0);

  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) fail("recv: %s", strerror(errno));
  if (n == 0) fail("the server closed a connection after %lu answers", answers);
  c->have += (size_t)n;
  size_t at = 0;
  while (at < c->have) {
    size_t size = request_size;
    if (!echo)
      size = answer_size(c->data + at, c->have - at);
    else if (c->have - at < size)
      size = 0;
    else if (memcmp(c->data + at, request, size) != 0)
      fail("the echo differs");
    if (size == 0) break;
    if (c->pending == 0) fail("more answers than requests");
    at += size;
    c->pending--;
    answers++;
  }
  c->have -= at;
  if (c->have == BUFFER) fail("an answer is too long");
  if (c->have != 0 && at != 0) memmove(c->data, c->data + at, c->have);
  if (c->pending == 0) send_request(c);
}

int main(int argc, char **argv) {
  unsigned connections = 64, headers = 1, size = 64;
  double seconds = 3, warm = 1;
  int i;

  if (argc < 2) fail("load http|echo [options] -- command");
  echo = strcmp(argv[1], "echo") == 0;
  for (i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *v;
    if ((v = option(argv[i], "connections")) != NULL)
      connections = (unsigned)atoi(v);
    else if ((v = option(argv[i], "seconds")) != NULL)
      seconds = atof(v);
    else if ((v = option(argv[i], "warm")) != NULL)
      warm = atof(v);
    else if ((v = option(argv[i], "headers")) != NULL)
      headers = (unsigned)atoi(v);
    else if ((v = option(argv[i], "pipeline")) != NULL)
      pipeline = (unsigned)atoi(v);
    else if ((v = option(argv[i], "size")) != NULL)
      size = (unsigned)atoi(v);
    else
      fail("unknown option %s", argv[i]);
  }
  if (i + 1 >= argc) fail("no command");
  if (connections < 1 || connections > 4096 || size < 1 || size > BUFFER - 1)
    fail("--connections or --size out of range");
  if (echo) {
    for (unsigned k = 0; k < size; k++) request[k] = (char)('!' + k % 90);
    request_size = size;
    pipeline = 1;
  } else {
    build_request(headers);
  }

  deadline((unsigned)(seconds + warm) + 40);
  server_start(argv + i + 1);

  struct connection *all = calloc(connections, sizeof *all);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  if (all == NULL || poller < 0) fail("out of memory");
  for (unsigned k = 0; k < connections; k++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[k]};
    all[k].fd = server_connect(0);
    fcntl(all[k].fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, all[k].fd, &event) != 0)
      fail("epoll_ctl: %s", strerror(errno));
  }
  for (unsigned k = 0; k < connections; k++) send_request(&all[k]);

  double begin = now() + warm, end = begin + seconds, t;
  double server0 = 0, own0 = 0, t0 = 0;
  unsigned long answers0 = 0;
  int measuring = 0;
  do {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poller, events, EVENTS, 5000);
    if (n == 0) fail("no answer for 5 s, after %lu", answers);
    for (int k = 0; k < n; k++) readable(events[k].data.ptr);
    t = now();
    if (!measuring && t >= begin) {
      measuring = 1;
      t0 = t;
      answers0 = answers;
      server0 = server_cpu();
      own0 = own_cpu();
      end = t + seconds;
    }
  } while (!measuring || t < end);
  double server = server_cpu() - server0, own = own_cpu() - own0, wall = t - t0;
  double count = (double)(answers - answers0);
  server_stop();
  if (count == 0 || server <= 0) fail("nothing measured");
  printf("per_second %.0f\n", count / wall);
  printf("per_cpu_second %.0f\n", count / server);
  printf("server_busy %.1f\n", 100 * server / wall);
  printf("generator_busy %.1f\n", 100 * own / wall);
  return 0;
}
