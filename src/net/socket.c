/* Sockets: a halo_stream over libuv's TCP and pipe handles. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* there SO_NOSIGPIPE is set */
#endif

enum { MOST_BUFFERS = 1024 }; /* of one system call (IOV_MAX) */

/* --- Reading -------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
  net_socket *s = handle->data;
  (void)hint;
  *buf = uv_buf_init(s->buffer, HALO_STREAM_BUFFER);
}

/* libuv takes a hang-up after a short read for the end, also when it is a
 * reset. (EPIPE is none: the end has come before it.) */
static int true_end(const net_socket *s) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ||
      error == 0 || error == EPIPE)
    return UV_EOF;
  return uv_translate_sys_error(error);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  net_socket *s = stream->data;
  halo_runtime *rt = s->stream.rt;
  const halo_stream_consumer *consumer = s->stream.consumer;
  if (n == 0) return;
  if (n > 0) {
    s->stream.bytes_read += (uint64_t)n;
    if (consumer != NULL) consumer->on_data(&s->stream, buf->base, (size_t)n);
  } else {
    uv_read_stop(stream);
    s->reading = false;
    s->ended = true;
    if (n == UV_EOF) n = true_end(s);
    if (consumer != NULL) consumer->on_end(&s->stream, (int)n);
  }
  halo_drain(rt);
}

static int socket_read_start(halo_stream *stream) {
  net_socket *s = (net_socket *)stream;
  if (s->reading || s->ended) return 0;
  if (s->closing) return UV_EBADF;
  int rc = uv_read_start(&s->uv.stream, on_alloc, on_read);
  s->reading = rc == 0;
  return rc;
}

static void socket_read_stop(halo_stream *stream) {
  net_socket *s = (net_socket *)stream;
  if (!s->reading) return;
  s->reading = false;
  uv_read_stop(&s->uv.stream);
}

/* --- Writing --------------------------------------------------------------
 * The first try is a system call of our own, which raises no SIGPIPE. Only
 * what is left after it is libuv's, one request at a time: what is written
 * meanwhile gathers behind it and leaves with the next. */

struct outgoing {
  uv_write_t req;
  size_t size, capacity;
  char data[];
};

static ssize_t socket_try_write(halo_stream *stream, const uv_buf_t *bufs,
                                unsigned n) {
  net_socket *s = (net_socket *)stream;
  ssize_t done;
  if (s->closing || s->fd < 0) return UV_EBADF;
  if (s->ending || s->shut) return UV_EPIPE;
  if (s->sending != NULL) return 0;
  do {
    if (n == 1) {
      done = send(s->fd, bufs->base, bufs->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else { /* uv_buf_t is laid out as iovec */
      struct msghdr message = {.msg_iov = (struct iovec *)bufs,
                               .msg_iovlen =
                                   n < MOST_BUFFERS ? n : MOST_BUFFERS};
      done = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  } while (done < 0 && errno == EINTR);
  if (done >= 0) {
    s->stream.bytes_written += (uint64_t)done;
    return done;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return 0;
  return uv_translate_sys_error(errno);
}

/* Ends the writing side: at once, since nothing is queued. */
static int shut(net_socket *s) {
  if (shutdown(s->fd, SHUT_WR) < 0) return uv_translate_sys_error(errno);
  s->shut = true;
  return 0;
}

static void on_written(uv_write_t *req, int status);

static int submit(net_socket *s, outgoing *out) {
  uv_buf_t buf = uv_buf_init(out->data, (unsigned)out->size);
  out->req.data = s;
  halo_sigpipe_block();
  int rc = uv_write(&out->req, &s->uv.stream, &buf, 1, on_written);
  if (rc < 0) {
    halo_sigpipe_unblock();
    free(out);
  } else
    s->sending = out;
  return rc;
}

static void on_written(uv_write_t *req, int status) {
  net_socket *s = req->data;
  halo_runtime *rt = s->stream.rt;
  halo_sigpipe_unblock();
  free(s->sending);
  s->sending = NULL;
  if (s->closing) return;
  if (status == 0 && s->pending != NULL) {
    outgoing *out = s->pending;
    s->pending = NULL;
    status = submit(s, out);
    if (status == 0) return;
  }
  if (status < 0) {
    free(s->pending);
    s->pending = NULL;
  } else if (s->ending && !s->shut)
    status = shut(s);
  if (s->stream.consumer != NULL)
    s->stream.consumer->on_drain(&s->stream, status);
  halo_drain(rt);
}

static void append(outgoing *out, const uv_buf_t *bufs, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    if (bufs[i].len == 0) continue;
    memcpy(out->data + out->size, bufs[i].base, bufs[i].len);
    out->size += bufs[i].len;
  }
}

static int socket_write(halo_stream *stream, const uv_buf_t *bufs, unsigned n) {
  net_socket *s = (net_socket *)stream;
  outgoing *out = s->pending;
  size_t size = 0;
  if (s->closing || s->fd < 0) return UV_EBADF;
  if (s->ending || s->shut) return UV_EPIPE;
  for (unsigned i = 0; i < n; i++) size += bufs[i].len;
  if (size == 0) return 0;
  if (out == NULL || out->capacity - out->size < size) {
    size_t held = out != NULL ? out->size : 0;
    size_t capacity = held + size;
    if (s->sending != NULL && capacity < 2 * held) capacity = 2 * held;
    out = realloc(out, sizeof *out + capacity);
    if (out == NULL) return UV_ENOMEM;
    out->size = held;
    out->capacity = capacity;
    s->pending = out;
  }
  append(out, bufs, n);
  s->stream.bytes_written += size;
  if (s->sending != NULL) return 0;
  s->pending = NULL;
  return submit(s, out);
}

static size_t socket_queued(halo_stream *stream) {
  net_socket *s = (net_socket *)stream;
  if (s->sending == NULL) return 0;
  size_t size = uv_stream_get_write_queue_size(&s->uv.stream);
  if (s->pending != NULL) size += s->pending->size;
  return size > 0 ? size : 1; /* all has left: on_drain is still to come */
}

static int socket_shutdown(halo_stream *stream) {
  net_socket *s = (net_socket *)stream;
  if (s->closing || s->fd < 0) return UV_EBADF;
  if (s->shut) return 1;
  s->ending = true;
  if (s->sending != NULL) return 0;
  int rc = shut(s);
  return rc < 0 ? rc : 1;
}

/* --- Lifecycle ------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle) {
  net_socket *s = handle->data;
  free(s->pending);
  free(s);
}

void net_socket_close(net_socket *s) {
  if (s->closing) return;
  s->closing = true;
  s->fd = -1;
  halo_resource_remove(&s->resource);
  if (s->stream.consumer != NULL) s->stream.consumer->on_close(&s->stream);
  s->stream.consumer = NULL;
  uv_close(&s->uv.handle, on_closed);
  if (s->server != NULL) net_server_forget(s->server);
  s->server = NULL;
}

static void socket_close(halo_stream *stream) {
  net_socket_close((net_socket *)stream);
}

static net_socket *of_resource(halo_resource *r) {
  return (net_socket *)((char *)r - offsetof(net_socket, resource));
}

static void close_resource(halo_resource *r) {
  net_socket_close(of_resource(r));
}

/* The other end; of a Unix socket, which end has a name. */
static void describe(halo_resource *r, char *text, size_t size) {
  net_socket *s = of_resource(r);
  net_address a;
  socklen_t length;
  if (s->fd >= 0 && net_address_of(s->fd, true, &a, &length) == 0)
    net_address_text(&a, length, text, size);
  if (*text == '\0' && s->fd >= 0 &&
      net_address_of(s->fd, false, &a, &length) == 0)
    net_address_text(&a, length, text, size);
}

static void socket_ref(halo_stream *stream, bool on) {
  net_socket *s = (net_socket *)stream;
  s->resource.unref = !on;
  if (on)
    uv_ref(&s->uv.handle);
  else
    uv_unref(&s->uv.handle);
}

/* --- Addresses ------------------------------------------------------------ */

static int push_address(lua_State *L, net_socket *s, bool remote) {
  const char *syscall = remote ? "getpeername" : "getsockname";
  net_address a;
  socklen_t length;
  int rc = s->fd < 0 ? UV_EBADF : net_address_of(s->fd, remote, &a, &length);
  if (rc < 0) return halo_fail(L, rc, syscall, NULL);
  net_address_push(L, &a, length);
  return 1;
}

static int socket_local_address(halo_stream *stream, lua_State *L) {
  return push_address(L, (net_socket *)stream, false);
}

static int socket_remote_address(halo_stream *stream, lua_State *L) {
  return push_address(L, (net_socket *)stream, true);
}

static int socket_set(halo_stream *stream, enum halo_stream_option option,
                      unsigned value) {
  net_socket *s = (net_socket *)stream;
  if (s->closing) return UV_EBADF;
  if (s->is_unix) return 0;
  switch (option) {
  case HALO_NO_DELAY:
    return uv_tcp_nodelay(&s->uv.tcp, value != 0);
  case HALO_KEEP_ALIVE:
    return uv_tcp_keepalive(&s->uv.tcp, value != 0, value);
  }
  return UV_ENOTSUP;
}

/* --- Making one ----------------------------------------------------------- */

#define SOCKET_OPS(name)                                                       \
  {                                                                            \
    .kind = name, .class = &net_socket_class, .read_start = socket_read_start, \
    .read_stop = socket_read_stop, .try_write = socket_try_write,              \
    .write = socket_write, .queued = socket_queued,                            \
    .shutdown = socket_shutdown, .close = socket_close, .ref = socket_ref,     \
    .set = socket_set, .local_address = socket_local_address,                  \
    .remote_address = socket_remote_address                                    \
  }

static const halo_stream_ops tcp_ops = SOCKET_OPS("tcp socket");
static const halo_stream_ops unix_ops = SOCKET_OPS("unix socket");

net_socket *net_socket_new(halo_runtime *rt, char *buffer, bool is_unix) {
  uv_loop_t *loop = halo_loop(rt);
  net_socket *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->stream.ops = is_unix ? &unix_ops : &tcp_ops;
  s->stream.rt = rt;
  s->buffer = buffer;
  s->is_unix = is_unix;
  s->fd = -1;
  if (is_unix)
    uv_pipe_init(loop, &s->uv.pipe, 0);
  else
    uv_tcp_init(loop, &s->uv.tcp);
  s->uv.handle.data = s;
  s->resource.describe = describe;
  halo_resource_add(rt, &s->resource, s->stream.ops->kind, close_resource);
  return s;
}

void net_socket_connected(net_socket *s) {
  uv_os_fd_t fd;
  if (uv_fileno(&s->uv.handle, &fd) == 0) s->fd = fd;
#ifdef SO_NOSIGPIPE
  int on = 1;
  setsockopt(s->fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

int net_socket_open(net_socket *s, int fd) {
  int rc =
      s->is_unix ? uv_pipe_open(&s->uv.pipe, fd) : uv_tcp_open(&s->uv.tcp, fd);
  if (rc == 0) net_socket_connected(s);
  return rc;
}

const halo_class net_socket_class = {"halo.net.Socket",
                                     &halo_streamobject_class, NULL, NULL};

void net_socket_register(lua_State *L) {
  halo_stream_register(L, &net_socket_class);
}
