/* Byte streams: what every transport (TCP, Unix socket, TLS, pipe, file)
 * offers and every consumer (a Lua script through halo.stream's methods, an
 * HTTP connection) uses, so that neither knows the other.
 *
 * A transport embeds a halo_stream as its first member and fills in 'ops'.
 * It owns its memory: 'close' starts the end, and the transport frees itself
 * in libuv's close callback. A consumer sets 'consumer' and 'consumer_ud'; a
 * transport calls it only from libuv callbacks, never from inside an op.
 * Reading is off at first. Nothing here knows Lua. */
#ifndef HALO_STREAM_STREAM_H
#define HALO_STREAM_STREAM_H

#include "core/halo.h"

typedef struct halo_stream halo_stream;

typedef struct halo_stream_consumer {
  /* 'data' is valid during the call only (the loop's read buffer). */
  void (*on_data)(halo_stream *s, const char *data, size_t size);
  /* Nothing more will come: UV_EOF, or what broke it. Reading is off. */
  void (*on_end)(halo_stream *s, int status);
  /* All that 'write' had taken has left (0), or the writing side broke. */
  void (*on_drain)(halo_stream *s, int status);
  /* The transport ends now (closed by anyone): forget it. Last call. */
  void (*on_close)(halo_stream *s);
} halo_stream_consumer;

enum halo_stream_option {
  HALO_NO_DELAY,  /* 1 or 0 */
  HALO_KEEP_ALIVE /* seconds of silence before probes; 0: none */
};

typedef struct halo_stream_ops {
  const char *kind; /* "tcp socket", "unix socket" … */
  /* Of the Lua object that halo_stream_push makes: halo_streamobject_class,
   * or one whose super it is; registered by halo_stream_register. */
  const halo_class *class;
  /* Switch on_data on and off. Both are cheap when nothing changes. */
  int (*read_start)(halo_stream *s);
  void (*read_stop)(halo_stream *s);
  /* Takes as many bytes as go at once without queuing: their number, 0 when
   * none do (also while 'write' has bytes queued), or a negative status. */
  ssize_t (*try_write)(halo_stream *s, const uv_buf_t *bufs, unsigned n);
  /* Copies and queues the bytes, to leave in order; on_drain when all have.
   * A negative status when the stream can't be written. */
  int (*write)(halo_stream *s, const uv_buf_t *bufs, unsigned n);
  size_t (*queued)(halo_stream *s); /* bytes that wait in the queue */
  /* Ends the writing side after what is queued. 1: it has ended; 0: on_drain
   * will tell when; or a negative status. */
  int (*shutdown)(halo_stream *s);
  /* Ends all at once; idempotent; on_close is called before it returns. */
  void (*close)(halo_stream *s);
  /* Whether the stream keeps the process up; at first it does. */
  void (*ref)(halo_stream *s, bool on);
  /* Sets a socket's option; may be NULL. */
  int (*set)(halo_stream *s, enum halo_stream_option option, unsigned value);
  /* Pushes {address=, port=, family=} (or {path=}), or nil, err; for TLS the
   * transport's below.                                     [-0, +n, m] */
  int (*local_address)(halo_stream *s, lua_State *L);
  int (*remote_address)(halo_stream *s, lua_State *L);
} halo_stream_ops;

struct halo_stream {
  const halo_stream_ops *ops;
  halo_runtime *rt;
  const halo_stream_consumer *consumer; /* NULL: none yet */
  void *consumer_ud;
  uint64_t bytes_read, bytes_written;
};

/* --- Lua's side ----------------------------------------------------------- */

/* What Lua sees of a stream: read, write and all methods of halo.stream. It
 * keeps the process up while a task waits for it. */
extern const halo_class halo_streamobject_class;

/* Makes a class whose super is halo_streamobject_class.      [-0, +0, m] */
void halo_stream_register(lua_State *L, const halo_class *class);

/* Pushes a new object of class s->ops->class that owns 's', which has no
 * consumer yet.                                              [-0, +1, m] */
void halo_stream_push(lua_State *L, halo_stream *s);

/* The stream of the object at 'index'; NULL when it is closed. Raises if it
 * is no stream object.                                       [-0, +0, v] */
halo_stream *halo_stream_check(lua_State *L, int index);

/* Takes the stream out of the object at 'index', which is closed from then
 * on; what it had read ahead is left in *ahead (malloc'ed, or NULL) for the
 * new consumer. Raises if it is none, closed or in use.      [-0, +0, v] */
halo_stream *halo_stream_take(lua_State *L, int index, char **ahead,
                              size_t *size);

/* Puts another stream (TLS over the one that was taken) into the object at
 * 'index', which is closed: it is open again.                [-0, +0, v] */
void halo_stream_put(lua_State *L, int index, halo_stream *s);

/* Opens the binding: pushes its table.                       [-0, +1, m] */
int halo_stream_open(lua_State *L);

/* --- Servers -------------------------------------------------------------- */

/* Who takes the streams that a server accepts (or a TLS server has shaken
 * hands on): a Lua handler, or an HTTP server. Lives in a userdata of
 * class halo_acceptor_class or one whose super it is; the server that uses
 * it anchors that userdata. */
typedef struct halo_acceptor {
  const halo_class *class;
  /* Takes ownership of 's'. Called from a libuv callback; may run Lua
   * through halo_callback; the caller drains afterwards. */
  void (*accept)(struct halo_acceptor *a, halo_stream *s);
} halo_acceptor;
extern const halo_class halo_acceptor_class;

/* Pushes the acceptor that the value at 'index' is; of a function, one that
 * calls it in a task with each stream's object, and closes that when it has
 * returned or raised (which is reported). Raises if it is neither.
 *                                                            [-0, +1, v] */
halo_acceptor *halo_acceptor_push(lua_State *L, int index);

/* --- For transports ------------------------------------------------------- */

enum { HALO_STREAM_BUFFER = 65536 };
/* The runtime's one read buffer, of that size: for alloc callbacks, its bytes
 * to be passed on before the read callback returns.          [-0, +0, m] */
char *halo_stream_buffer(lua_State *L);

/* libuv's queued writes may raise SIGPIPE in a host that has not ignored it:
 * between these two it is blocked in this thread. They nest. */
void halo_sigpipe_block(void);
void halo_sigpipe_unblock(void);

#endif
