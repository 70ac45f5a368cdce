/* Bytes on their way out.
 *
 * While a connection's bytes are looked at, its answers gather in one buffer
 * of the runtime's and leave in one write at the end of that. An answer that
 * is given at any other time is put together in a second buffer and leaves at
 * once. Either way the system is tried first; what it does not take is
 * copied into the stream's queue. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

bool http_reserve(http_buffer *b, size_t size) {
  if (b->capacity - b->size >= size) return true;
  size_t capacity = b->capacity < 512 ? 512 : b->capacity * 2;
  while (capacity - b->size < size) capacity *= 2;
  char *data = realloc(b->data, capacity);
  if (data == NULL) return false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

void http_append_number(http_buffer *b, uint64_t n, unsigned base) {
  char text[24], *p = text + sizeof text;
  do {
    *--p = "0123456789abcdef"[n % base];
    n /= base;
  } while (n > 0);
  http_append(b, p, (size_t)(text + sizeof text - p));
}

void http_buffer_free(http_buffer *b) {
  free(b->data);
  *b = (http_buffer){NULL, 0, 0};
}

/* Empties it; what one large answer has made of it is not kept. */
static void reset(http_buffer *b) {
  b->size = 0;
  if (b->capacity > 4 * HTTP_GATHERED) http_buffer_free(b);
}

http_buffer *http_output(http_connection *c) {
  http_state *st = c->server->state;
  return st->served == c ? &st->gathered : &st->side;
}

size_t http_queued(const http_connection *c) {
  return c->stream != NULL ? c->stream->ops->queued(c->stream) : 0;
}

enum { MOST = 16 }; /* buffers of one write */

/* What the system has not taken goes into the queue. */
static int queue(http_connection *c, uv_buf_t *bufs, unsigned n, size_t done) {
  halo_stream *s = c->stream;
  unsigned i = 0;
  while (i < n && done >= bufs[i].len) done -= bufs[i++].len;
  if (i == n) return 0;
  bufs[i].base += done;
  bufs[i].len -= done;
  if (s->ops->queued(s) == 0) c->moved = halo_now(s->rt);
  int rc = s->ops->write(s, bufs + i, n - i);
  c->queued = (uint32_t)s->ops->queued(s);
  http_arm(c);
  return rc;
}

static int write_all(http_connection *c, uv_buf_t *bufs, unsigned n) {
  halo_stream *s = c->stream;
  ssize_t done = s->ops->try_write(s, bufs, n);
  int rc = done < 0 ? (int)done : queue(c, bufs, n, (size_t)done);
  if (rc < 0) http_close(c, rc);
  return rc;
}

/* Sends the buffer and what follows it; the buffer is empty afterwards. */
static int send_all(http_connection *c, http_buffer *out, const uv_buf_t *more,
                    unsigned n) {
  uv_buf_t bufs[MOST + 1];
  unsigned count = 0;
  int rc = UV_EPIPE;
  if (out->size > 0)
    bufs[count++] = (uv_buf_t){.base = out->data, .len = out->size};
  for (unsigned i = 0; i < n; i++) bufs[count++] = more[i];
  if (count == 0) return 0;
  if (c->stream != NULL) rc = write_all(c, bufs, count);
  reset(out);
  return rc;
}

int http_send(http_connection *c, const uv_buf_t *bufs, unsigned n) {
  http_buffer *out = http_output(c);
  if (c->stream == NULL) {
    out->size = 0;
    return UV_EPIPE;
  }
  size_t size = out->size;
  for (unsigned i = 0; i < n; i++) size += bufs[i].len;
  bool gathers = out == &c->server->state->gathered;
  if (!gathers || size > HTTP_GATHERED || !http_reserve(out, size - out->size))
    return send_all(c, out, bufs, n);
  for (unsigned i = 0; i < n; i++) http_append(out, bufs[i].base, bufs[i].len);
  return 0;
}

void http_flush(http_connection *c) {
  http_state *st = c->server->state;
  if (st->served == c) send_all(c, &st->gathered, NULL, 0);
}

/* --- The date ------------------------------------------------------------- */

void http_set_date(http_state *st) {
  static const char days[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  time_t now = time(NULL);
  struct tm t;
  if (now == st->date_at) return;
  st->date_at = now;
  gmtime_r(&now, &t);
  st->date_size =
      (size_t)snprintf(st->date, sizeof st->date,
                       "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                       days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon,
                       t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
  st->ok_size = (size_t)snprintf(st->ok, sizeof st->ok, "HTTP/1.1 200 OK\r\n%s",
                                 st->date);
}
