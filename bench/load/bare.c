/* What a server can reach at most: a bare epoll loop, one read and one write for all there is.
 *
 *   bare http|echo
 *
 * http answers each blank line with a ready-made 200; nothing is parsed, no time limits, no errors
 * handled. Prints "listening PORT". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64 };

static const char answer[] =
    "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    "Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
static char in[65536], out[BATCH * (sizeof answer - 1)];

static ssize_t serve(int fd, int echo) {
  ssize_t n = read(fd, in, sizeof in);
  size_t count = 0;

  if (n <= 0) return n;
  if (echo) return write(fd, in, (size_t)n);
  for (char *p = in; count < BATCH && (p = memmem(p, (size_t)(in + n - p),
                                                  "\r\n\r\n", 4)) != NULL;
       p += 4)
    count++;
  return write(fd, out, count * (sizeof answer - 1));
}

int main(int argc, char **argv) {
  int echo = argc > 1 && strcmp(argv[1], "echo") == 0;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
      poller = epoll_create1(EPOLL_CLOEXEC);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};

  for (size_t i = 0; i < BATCH; i++)
    memcpy(out + i * (sizeof answer - 1), answer, sizeof answer - 1);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 ||
      listen(listener, 511) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
      epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
    return 1;
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int n = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        event.data.fd =
            accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (event.data.fd >= 0)
          epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
      } else if (serve(fd, echo) <= 0) {
        close(fd);
      }
    }
  }
}
