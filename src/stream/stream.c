/* The Lua object of a stream: what halo.stream's methods do. See stream.h. */
#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>

#include "stream/object.h"

enum { WAITS_READ = 1, WAITS_WRITE = 2 };

/* A task that waits until all that was queued has left, its own bytes among
 * them. */
struct halo_writer {
  halo_wait wait;
  halo_streamobject *object;
  halo_writer *next, *prev;
};

/* --- Idle times ----------------------------------------------------------- */

static void fire(halo_runtime *rt, halo_calltimer *t);

/* The timer is set by the first wait and not cleared at its end: it finds
 * out for itself whether anybody has waited for too long. */
static void arm(halo_streamobject *o) {
  if (o->timeout > 0 && !halo_timer_is_set(&o->timer))
    halo_timer_set(o->reader.rt, &o->timer, o->timeout);
}

/* Tells the transport whether anybody waits for it. */
static void set_waits(halo_streamobject *o, uint8_t waits) {
  if ((o->waits == 0) != (waits == 0) && o->stream != NULL)
    o->stream->ops->ref(o->stream, waits != 0);
  o->waits = waits;
}

static halo_streamobject *object_of(halo_reader *r) {
  return (halo_streamobject *)((char *)r - offsetof(halo_streamobject, reader));
}

static void reader_waiting(halo_reader *r, bool on) {
  halo_streamobject *o = object_of(r);
  if (!on) {
    set_waits(o, o->waits & ~WAITS_READ);
    return;
  }
  set_waits(o, o->waits | WAITS_READ);
  if (o->timeout == 0) return;
  o->read_since = halo_now(r->rt);
  arm(o);
}

static void reader_want(halo_reader *r, bool on) {
  halo_streamobject *o = object_of(r);
  if (o->stream == NULL) return;
  if (!on) {
    o->stream->ops->read_stop(o->stream);
  } else {
    int rc = o->stream->ops->read_start(o->stream);
    if (rc < 0) halo_reader_end(r, rc);
  }
}

/* --- Writers -------------------------------------------------------------- */

static void remove_writer(halo_writer *w) {
  halo_streamobject *o = w->object;
  if (w->prev != NULL)
    w->prev->next = w->next;
  else
    o->first = w->next;
  if (w->next != NULL)
    w->next->prev = w->prev;
  else
    o->last = w->prev;
  if (o->first == NULL) set_waits(o, o->waits & ~WAITS_WRITE);
}

/* A cancelled write: what it queued still leaves, in its place. */
static void cancel_write(halo_wait *wait) {
  halo_writer *w = (halo_writer *)wait;
  remove_writer(w);
  free(w);
}

/* Waits until the queue is empty; to be returned. */
static int wait_written(lua_State *L, halo_streamobject *o, const char *what) {
  halo_writer *w = malloc(sizeof *w);
  if (w == NULL) return halo_fail(L, UV_ENOMEM, what, NULL);
  *w = (halo_writer){.wait = {.cancel = cancel_write, .what = what},
                     .object = o,
                     .prev = o->last};
  if (o->last != NULL)
    o->last->next = w;
  else
    o->first = w;
  o->last = w;
  set_waits(o, o->waits | WAITS_WRITE);
  if (o->timeout > 0) {
    o->write_since = halo_now(o->reader.rt);
    o->queued = o->stream->ops->queued(o->stream);
    arm(o);
  }
  return halo_wait_start(L, &w->wait);
}

static int push_written(lua_State *L) {
  int status = *(int *)lua_touserdata(L, 1);
  if (status < 0) return halo_fail(L, status, "write", NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* Wakes all that wait to write. */
static void wake_writers(halo_streamobject *o, int status) {
  halo_runtime *rt = o->reader.rt;
  if (halo_closing(rt)) return;
  while (o->first != NULL) {
    halo_writer *w = o->first;
    remove_writer(w);
    int n = halo_protect(rt, push_written, &status);
    halo_wait_finish(rt, &w->wait, n);
    free(w);
  }
}

/* --- What the transport tells --------------------------------------------- */

static void on_data(halo_stream *s, const char *data, size_t size) {
  halo_streamobject *o = s->consumer_ud;
  if (o->timeout > 0) o->read_since = halo_now(s->rt);
  halo_reader_feed(&o->reader, data, size);
}

static void on_end(halo_stream *s, int status) {
  halo_streamobject *o = s->consumer_ud;
  halo_reader_end(&o->reader, status);
}

static void on_drain(halo_stream *s, int status) {
  halo_streamobject *o = s->consumer_ud;
  if (status < 0) o->write_status = status;
  wake_writers(o, status);
}

/* The object has no stream any more. */
static void detach(halo_streamobject *o) {
  halo_stream *s = o->stream;
  o->stream = NULL;
  o->bytes_read = s->bytes_read;
  o->bytes_written = s->bytes_written;
  if (!halo_closing(s->rt)) halo_timer_clear(s->rt, &o->timer);
  o->readable.reader = NULL;
  halo_reader_close(&o->reader);
  wake_writers(o, UV_ECANCELED);
}

static void on_close(halo_stream *s) { detach(s->consumer_ud); }

static const halo_stream_consumer object_consumer = {on_data, on_end, on_drain,
                                                     on_close};

static void fire(halo_runtime *rt, halo_calltimer *t) {
  halo_streamobject *o =
      (halo_streamobject *)((char *)t - offsetof(halo_streamobject, timer));
  if (o->stream == NULL || o->timeout == 0) return;
  uint64_t now = halo_now(rt), next = UINT64_MAX;
  if (o->waits & WAITS_READ) {
    uint64_t due = o->read_since + o->timeout;
    if (due <= now)
      halo_reader_wake(&o->reader, UV_ETIMEDOUT);
    else
      next = due - now;
  }
  if (o->waits & WAITS_WRITE) {
    size_t queued = o->stream->ops->queued(o->stream);
    if (queued != o->queued) { /* slow, but it moves */
      o->queued = queued;
      o->write_since = now;
    }
    uint64_t due = o->write_since + o->timeout;
    if (due <= now)
      wake_writers(o, UV_ETIMEDOUT);
    else if (due - now < next)
      next = due - now;
  }
  if (next != UINT64_MAX) halo_timer_set(rt, t, next);
}

/* --- Lifecycle ------------------------------------------------------------ */

void halo_streamobject_close(halo_streamobject *o) {
  if (o->stream != NULL) o->stream->ops->close(o->stream);
}

static void attach(halo_streamobject *o, halo_stream *s) {
  halo_reader_init(&o->reader, s->rt, reader_want);
  o->reader.waiting = reader_waiting;
  o->readable.reader = &o->reader;
  o->stream = s;
  o->timer.fire = fire;
  o->timer.node.unref = 1;
  o->write_status = 0;
  o->finished = false;
  s->consumer = &object_consumer;
  s->consumer_ud = o;
  s->ops->ref(s, false);
}

void halo_stream_push(lua_State *L, halo_stream *s) {
  attach(halo_object_new(L, s->ops->class, sizeof(halo_streamobject), 0), s);
}

static halo_streamobject *check_object(lua_State *L, int index) {
  return halo_object_check(L, index, &halo_streamobject_class);
}

halo_stream *halo_stream_check(lua_State *L, int index) {
  return check_object(L, index)->stream;
}

halo_stream *halo_stream_take(lua_State *L, int index, char **ahead,
                              size_t *size) {
  halo_streamobject *o = check_object(L, index);
  halo_stream *s = o->stream;
  luaL_argcheck(L, s != NULL, index, "the stream is closed");
  luaL_argcheck(L, o->waits == 0, index, "the stream is in use");
  *ahead = halo_reader_take(&o->reader, size);
  s->ops->read_stop(s);
  s->ops->ref(s, true);
  s->consumer = NULL;
  s->consumer_ud = NULL;
  detach(o);
  return s;
}

void halo_stream_put(lua_State *L, int index, halo_stream *s) {
  halo_streamobject *o = check_object(L, index);
  luaL_argcheck(L, o->stream == NULL, index, "the stream is open");
  attach(o, s);
}

/* --- Methods -------------------------------------------------------------- */

enum { FEW = 8 }; /* values that a write takes without allocating */

static size_t total_of(const uv_buf_t *bufs, int n) {
  size_t total = 0;
  for (int i = 0; i < n; i++) total += bufs[i].len;
  return total;
}

/* Drops the first 'size' bytes; gives how many buffers are left. */
static int skip_bytes(uv_buf_t *bufs, int n, size_t size) {
  int i = 0;
  while (i < n && size >= bufs[i].len) size -= bufs[i++].len;
  memmove(bufs, bufs + i, (size_t)(n - i) * sizeof *bufs);
  if (i < n) {
    bufs[0].base += size;
    bufs[0].len -= size;
  }
  return n - i;
}

/* Writes what does not have to wait, and waits for the rest. */
static int write_bufs(lua_State *L, halo_streamobject *o, uv_buf_t *bufs,
                      int n) {
  halo_stream *s = o->stream;
  size_t total = total_of(bufs, n);
  ssize_t done = s->ops->try_write(s, bufs, (unsigned)n);
  if (done >= 0 && (size_t)done < total) {
    n = skip_bytes(bufs, n, (size_t)done);
    done = s->ops->write(s, bufs, (unsigned)n);
    if (done >= 0) return wait_written(L, o, "write");
  }
  if (done < 0) {
    o->write_status = (int)done;
    return halo_fail(L, (int)done, "write", NULL);
  }
  lua_pushboolean(L, 1);
  return halo_wait_at_once(s->rt) ? 1 : halo_wait_turn(L, 1);
}

/* s:write(data, ...) -> true | nil, err                            (waits) */
static int stream_write(lua_State *L) {
  halo_streamobject *o = check_object(L, 1);
  int n = lua_gettop(L) - 1;
  uv_buf_t few[FEW], *bufs = few;
  for (int i = 0; i < n; i++) {
    size_t size;
    char *data = (char *)halo_bytes_check(L, 2 + i, &size);
    if (i < FEW) few[i] = (uv_buf_t){.base = data, .len = size};
  }
  HALO_WAITS(L);
  if (o->stream == NULL) return halo_fail(L, UV_EBADF, "write", NULL);
  if (o->finished) return halo_fail(L, UV_EPIPE, "write", NULL);
  if (o->write_status < 0) return halo_fail(L, o->write_status, "write", NULL);
  if (n > FEW) {
    bufs = lua_newuserdatauv(L, (size_t)n * sizeof *bufs, 0);
    for (int i = 0; i < n; i++) {
      size_t size;
      char *data = (char *)halo_bytes_check(L, 2 + i, &size);
      bufs[i] = (uv_buf_t){.base = data, .len = size};
    }
  }
  if (total_of(bufs, n) > 0) return write_bufs(L, o, bufs, n);
  lua_pushboolean(L, 1);
  return 1;
}

/* s:finish() -> true | nil, err                                    (waits) */
static int stream_finish(lua_State *L) {
  halo_streamobject *o = check_object(L, 1);
  HALO_WAITS(L);
  halo_stream *s = o->stream;
  if (s == NULL) return halo_fail(L, UV_EBADF, "shutdown", NULL);
  if (!o->finished) {
    if (o->write_status < 0)
      return halo_fail(L, o->write_status, "shutdown", NULL);
    int rc = s->ops->shutdown(s);
    if (rc < 0) return halo_fail(L, rc, "shutdown", NULL);
    o->finished = true;
    if (rc == 0) return wait_written(L, o, "finish");
  } else if (s->ops->queued(s) > 0)
    return wait_written(L, o, "finish");
  lua_pushboolean(L, 1);
  return 1;
}

/* s:close() -> true */
static int stream_close(lua_State *L) {
  halo_streamobject_close(check_object(L, 1));
  lua_pushboolean(L, 1);
  return 1;
}

/* s:set_timeout(seconds|nil) -> true
 * Reads and writes that wait while no byte moves for that long give nil and
 * ETIMEDOUT. */
static int stream_set_timeout(lua_State *L) {
  halo_streamobject *o = check_object(L, 1);
  uint64_t ms = 0;
  if (!lua_isnoneornil(L, 2)) {
    ms = halo_check_ms(L, 2);
    if (ms == 0) ms = 1;
  }
  o->timeout = ms;
  lua_pushboolean(L, 1);
  if (o->stream == NULL) return 1;
  halo_timer_clear(o->stream->rt, &o->timer);
  if (o->waits != 0) {
    o->read_since = o->write_since = halo_now(o->stream->rt);
    o->queued = o->stream->ops->queued(o->stream);
    arm(o);
  }
  return 1;
}

static int set_option(lua_State *L, halo_stream *s,
                      enum halo_stream_option option, unsigned value) {
  int rc = s == NULL             ? UV_EBADF
           : s->ops->set != NULL ? s->ops->set(s, option, value)
                                 : UV_ENOTSUP;
  if (rc < 0) return halo_fail(L, rc, "setsockopt", NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* s:set_no_delay([on]) -> true | nil, err */
static int stream_set_no_delay(lua_State *L) {
  halo_stream *s = halo_stream_check(L, 1);
  if (!lua_isnone(L, 2)) luaL_checktype(L, 2, LUA_TBOOLEAN);
  bool on = lua_isnone(L, 2) || lua_toboolean(L, 2);
  return set_option(L, s, HALO_NO_DELAY, on);
}

enum { KEEP_ALIVE = 60 }; /* seconds, unless told */

/* s:set_keep_alive([on | seconds]) -> true | nil, err */
static int stream_set_keep_alive(lua_State *L) {
  halo_stream *s = halo_stream_check(L, 1);
  lua_Number seconds = KEEP_ALIVE;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    seconds = lua_tonumber(L, 2);
    luaL_argcheck(L, seconds >= 1 && seconds <= 32767, 2,
                  "must be from 1 to 32767 seconds");
  } else if (!lua_isnone(L, 2)) {
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    if (!lua_toboolean(L, 2)) seconds = 0;
  }
  return set_option(L, s, HALO_KEEP_ALIVE, (unsigned)seconds);
}

/* s:local_address() -> {address=, port=, family=} | {path=} | nil, err */
static int stream_local_address(lua_State *L) {
  halo_stream *s = halo_stream_check(L, 1);
  if (s == NULL) return halo_fail(L, UV_EBADF, "getsockname", NULL);
  return s->ops->local_address(s, L);
}

/* s:remote_address() -> {address=, port=, family=} | {path=} | nil, err */
static int stream_remote_address(lua_State *L) {
  halo_stream *s = halo_stream_check(L, 1);
  if (s == NULL) return halo_fail(L, UV_EBADF, "getpeername", NULL);
  return s->ops->remote_address(s, L);
}

static int stream_gc(lua_State *L) {
  halo_streamobject *o = lua_touserdata(L, 1);
  halo_streamobject_close(o);
  halo_site_drop(o->site);
  o->site = NULL;
  return 0;
}

static int stream_tostring(lua_State *L) {
  halo_streamobject *o = check_object(L, 1);
  if (o->stream == NULL)
    lua_pushfstring(L, "%s (closed)", o->readable.class->name);
  else
    lua_pushfstring(L, "%s (%p)", o->readable.class->name, (void *)o);
  return 1;
}

/* s[key]: a method, or bytes_read, bytes_written. Upvalue 2: the methods. */
static int stream_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  halo_streamobject *o = lua_touserdata(L, 1);
  const halo_stream *s = o->stream;
  if (strcmp(key, "bytes_read") == 0)
    lua_pushinteger(L, (lua_Integer)(s ? s->bytes_read : o->bytes_read));
  else if (strcmp(key, "bytes_written") == 0)
    lua_pushinteger(L, (lua_Integer)(s ? s->bytes_written : o->bytes_written));
  return 1;
}

static const luaL_Reg stream_methods[] = {
    {"close", stream_close},
    {"finish", stream_finish},
    {"local_address", stream_local_address},
    {"remote_address", stream_remote_address},
    {"set_keep_alive", stream_set_keep_alive},
    {"set_no_delay", stream_set_no_delay},
    {"set_timeout", stream_set_timeout},
    {"write", stream_write},
    {NULL, NULL}};
static const luaL_Reg stream_meta[] = {{"__close", stream_close},
                                       {"__gc", stream_gc},
                                       {"__tostring", stream_tostring},
                                       {NULL, NULL}};

const halo_class halo_streamobject_class = {"halo.Stream", &halo_readable_class,
                                            stream_methods, stream_meta};

/* --- Opening -------------------------------------------------------------- */

void halo_stream_register(lua_State *L, const halo_class *class) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, class) != LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  halo_class_register(L, class);
  lua_rawgetp(L, LUA_REGISTRYINDEX, class);
  halo_runtime_open(L);
  lua_getfield(L, -2, "__index");
  lua_pushcclosure(L, stream_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

static const char buffer_key = 0;

char *halo_stream_buffer(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &buffer_key) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newuserdatauv(L, HALO_STREAM_BUFFER, 0);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &buffer_key);
  }
  char *buffer = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return buffer;
}

int halo_stream_open(lua_State *L) {
  static const char opened_key = 0;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &opened_key) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  halo_reader_register(L);
  halo_acceptor_register(L);
  halo_stream_register(L, &halo_streamobject_class);
  lua_newtable(L);
  lua_pushinteger(L, HALO_READER_HIGH);
  lua_setfield(L, -2, "high_water");
  lua_pushinteger(L, HALO_READER_LINE);
  lua_setfield(L, -2, "max_line");
  lua_pushinteger(L, HALO_READER_ALL);
  lua_setfield(L, -2, "max_all");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &opened_key);
  return 1;
}
