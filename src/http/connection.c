/* A connection: the state machine, its timers and its end.
 *
 *   IDLE --bytes--> HEAD --head complete--> BUSY --answer given--> IDLE
 *     any --refused, timed out, last answer given--> ENDING --> closed
 *
 * 'run' is the only place that looks at bytes. It is entered from the stream's
 * callbacks and, for a connection whose next request is waiting in its input
 * already, from a turn of the loop; never from inside a task. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

/* --- Lists ---------------------------------------------------------------- */

static void unlink_connection(http_connection *c) {
  http_server *s = c->server;
  http_list *list = c->is_active ? &s->active : &s->idle;
  if (c->prev != NULL)
    c->prev->next = c->next;
  else
    list->first = c->next;
  if (c->next != NULL)
    c->next->prev = c->prev;
  else
    list->last = c->prev;
}

static void link_connection(http_connection *c, bool active) {
  http_server *s = c->server;
  http_list *list = active ? &s->active : &s->idle;
  c->is_active = active;
  c->next = NULL;
  c->prev = list->last;
  if (list->last != NULL)
    list->last->next = c;
  else
    list->first = c;
  list->last = c;
}

/* Puts the connection at the end of a list: of those with work under way, or
 * of those that could be closed. */
static void move(http_connection *c, bool active) {
  if (c->is_active == active) return;
  unlink_connection(c);
  link_connection(c, active);
  if (c->server->unref) c->stream->ops->ref(c->stream, active);
  if (!active) http_server_check(c->server);
}

/* --- Input ---------------------------------------------------------------- */

static void unlist(http_input *in) {
  http_state *st = in->connection->server->state;
  http_input **at = &st->first;
  if (!in->listed) return;
  st->last = NULL;
  for (; *at != in; at = &(*at)->next) st->last = *at;
  *at = in->next;
  if (in->next != NULL)
    for (st->last = in->next; st->last->next != NULL;)
      st->last = st->last->next;
  in->listed = false;
}

static void drop_input(http_connection *c) {
  if (c->input == NULL) return;
  unlist(c->input);
  free(c->input);
  c->input = NULL;
}

static http_input *new_input(http_connection *c, const char *data,
                             size_t size) {
  http_input *in = malloc(sizeof *in + size);
  if (in == NULL) return NULL;
  memset(in, 0, sizeof *in);
  in->connection = c;
  in->end = in->capacity = size;
  memcpy(in->data, data, size);
  return c->input = in;
}

/* Puts the bytes behind those that are held; false: no memory. */
static bool extend_input(http_connection *c, const char *data, size_t size) {
  http_input *in = c->input;
  size_t held = in->end - in->start;
  if (in->capacity - in->end < size) {
    if (in->start > 0) memmove(in->data, in->data + in->start, held);
    in->start = 0;
    in->end = held;
  }
  if (in->capacity - in->end < size) {
    size_t capacity = 2 * held + size;
    unlist(in);
    in = realloc(in, sizeof *in + capacity);
    if (in == NULL) return false;
    in->capacity = capacity;
    c->input = in;
  }
  if (size > 0) memcpy(in->data + in->end, data, size);
  in->end += size;
  return true;
}

/* --- Turns: going on with what is held ------------------------------------ */

static void run(http_connection *c, const char *data, size_t size);

static void on_turn_closed(uv_handle_t *handle) { free(handle); }

static void end_turns(http_state *st) {
  if (st->first != NULL || st->turn == NULL) return;
  uv_close((uv_handle_t *)st->turn, on_turn_closed);
  st->turn = NULL;
}

/* Those that are listed now; whoever is listed meanwhile comes next time. */
static void on_turn(uv_idle_t *handle) {
  http_state *st = handle->data;
  halo_runtime *rt = st->rt;
  unsigned n = 0;
  for (http_input *in = st->first; in != NULL; in = in->next) n++;
  while (n-- > 0 && st->first != NULL) {
    http_input *in = st->first;
    unlist(in);
    run(in->connection, NULL, 0);
  }
  end_turns(st);
  halo_drain(rt);
}

/* The connection goes on in the loop's next turn. */
static void list(http_connection *c) {
  http_input *in = c->input;
  http_state *st = c->server->state;
  if (in == NULL || in->listed || halo_closing(st->rt)) return;
  if (st->turn == NULL) {
    st->turn = malloc(sizeof *st->turn);
    if (st->turn == NULL) return; /* its timer will end it */
    uv_idle_init(halo_loop(st->rt), st->turn);
    st->turn->data = st;
    uv_idle_start(st->turn, on_turn);
  }
  in->listed = true;
  in->next = NULL;
  if (st->last != NULL)
    st->last->next = in;
  else
    st->first = in;
  st->last = in;
}

/* --- Reading on and off --------------------------------------------------- */

static void pause_reading(http_connection *c) {
  if (c->paused || c->ended) return;
  c->paused = true;
  c->stream->ops->read_stop(c->stream);
}

static bool is_full(const http_connection *c) {
  const http_exchange *x = c->exchange;
  bool waits = x != NULL || http_queued(c) > HTTP_QUEUED;
  if (c->phase == PHASE_ENDING) return false;
  if (waits && c->input != NULL &&
      c->input->end - c->input->start >= HTTP_PIPELINED)
    return true;
  return x != NULL && !x->complete && !x->unwanted &&
         !halo_reader_is_waiting(&x->reader) && !x->reader.on &&
         halo_reader_held(&x->reader) >= HALO_READER_HIGH;
}

void http_resume(http_connection *c) {
  if (!c->paused || c->stream == NULL || c->ended || is_full(c)) return;
  c->paused = false;
  c->stream->ops->read_start(c->stream);
}

/* --- Timers --------------------------------------------------------------- */

enum reason {
  NONE,
  SILENT,
  SLOW_HEAD,
  SLOW_BODY,
  SLOW_REQUEST,
  STUCK,
  LINGERED
};

typedef struct deadline {
  uint64_t at;
  enum reason reason;
} deadline;

static void nearer(deadline *d, uint64_t from, uint64_t ms,
                   enum reason reason) {
  if (ms == 0 || (d->reason != NONE && d->at <= from + ms)) return;
  *d = (deadline){from + ms, reason};
}

/* The next point in time at which something must have happened. */
static deadline find_deadline(const http_connection *c) {
  const http_server *s = c->server;
  const http_exchange *x = c->exchange;
  deadline d = {0, NONE};
  switch ((enum http_phase)c->phase) {
  case PHASE_IDLE:
    if (c->input != NULL) break;
    nearer(&d, c->since, c->served ? s->keep_alive_timeout : s->headers_timeout,
           SILENT);
    break;
  case PHASE_HEAD:
    nearer(&d, c->since, s->headers_timeout, SLOW_HEAD);
    break;
  case PHASE_BUSY:
    if (x == NULL || x->complete) break;
    nearer(&d, c->since, s->request_timeout, SLOW_REQUEST);
    if (!c->paused && !x->expecting)
      nearer(&d, x->body_at, s->body_timeout, SLOW_BODY);
    break;
  case PHASE_ENDING:
    if (http_queued(c) == 0) nearer(&d, c->since, HTTP_LINGER, LINGERED);
    break;
  }
  if (http_queued(c) > 0) nearer(&d, c->moved, s->write_timeout, STUCK);
  return d;
}

void http_arm(http_connection *c) {
  halo_runtime *rt = c->server->rt;
  if (c->stream == NULL) return;
  deadline d = find_deadline(c);
  if (d.reason == NONE) return;
  if (halo_timer_is_set(&c->timer) && c->timer.node.due <= d.at) return;
  uint64_t now = halo_now(rt);
  halo_timer_set(rt, &c->timer, d.at > now ? d.at - now : 1);
}

static void refuse(http_connection *c, int status, const char *reason);

static void on_deadline(http_connection *c, enum reason reason) {
  http_exchange *x = c->exchange;
  switch (reason) {
  case NONE:
    break;
  case SLOW_HEAD:
    refuse(c, 408, "the head took too long");
    break;
  case SLOW_BODY:
  case SLOW_REQUEST:
    http_exchange_break(x, 408, UV_ETIMEDOUT, NULL, "the body took too long");
    break;
  case STUCK:
    http_close(c, UV_ETIMEDOUT);
    break;
  case SILENT:
  case LINGERED:
    http_close(c, 0);
    break;
  }
}

static void on_timer(halo_runtime *rt, halo_calltimer *t) {
  http_connection *c =
      (http_connection *)((char *)t - offsetof(http_connection, timer));
  size_t queued = http_queued(c);
  if (queued > 0 && (uint32_t)queued != c->queued) { /* some have left */
    c->queued = (uint32_t)queued;
    c->moved = halo_now(rt);
  }
  deadline d = find_deadline(c);
  if (d.reason != NONE && d.at <= halo_now(rt))
    on_deadline(c, d.reason);
  else
    http_arm(c);
}

/* --- The end -------------------------------------------------------------- */

static void free_connection(http_connection *c) {
  http_server *s = c->server;
  s->connections--;
  free(c);
  http_server_check(s);
}

static void on_close(halo_stream *stream) {
  http_connection *c = stream->consumer_ud;
  http_exchange *x = c->exchange;
  http_state *st = c->server->state;
  halo_timer_clear(c->server->rt, &c->timer);
  unlink_connection(c);
  c->stream = NULL;
  c->exchange = NULL;
  c->deaf = true;
  if (x != NULL) http_exchange_cut(x, 0);
  if (c->running) return; /* 'run' sees to the rest */
  st->side.size = 0;
  drop_input(c);
  end_turns(st);
  free_connection(c);
}

void http_close(http_connection *c, int status) {
  halo_stream *stream = c->stream;
  http_exchange *x = c->exchange;
  if (stream == NULL) return;
  if (x != NULL && status != 0) x->status = status;
  stream->ops->close(stream);
}

void http_abort(http_connection *c) {
  http_flush(c);
  http_close(c, UV_ECANCELED);
}

/* The last answer has been handed over. The client is to get it whole, so the
 * connection stays open until it has closed its side too: closing while bytes
 * come in would reset it, and take the answer with it. */
static void shut_down(http_connection *c) {
  halo_stream *stream = c->stream;
  c->since = halo_now(c->server->rt);
  if (c->ended && http_queued(c) == 0) {
    http_close(c, 0);
    return;
  }
  if (stream->ops->shutdown(stream) < 0) {
    http_close(c, 0);
    return;
  }
  http_resume(c);
  http_arm(c);
  if (http_queued(c) == 0) move(c, false);
}

static void end(http_connection *c) {
  c->phase = PHASE_ENDING;
  c->deaf = true;
  if (c->running) return; /* what has gathered leaves first */
  drop_input(c);
  end_turns(c->server->state);
  shut_down(c);
}

void http_next(http_connection *c, bool keep) {
  c->served = true;
  if (!keep || c->server->stopping || (c->ended && c->input == NULL)) {
    end(c);
    return;
  }
  c->phase = PHASE_IDLE;
  c->since = halo_now(c->server->rt);
  if (c->running) return;
  if (c->input != NULL) {
    list(c);
    return;
  }
  http_resume(c);
  http_arm(c);
  move(c, false);
}

/* --- Looking at bytes ----------------------------------------------------- */

static void refuse(http_connection *c, int status, const char *reason) {
  http_append_error(c, http_output(c), status, reason);
  if (http_send(c, NULL, 0) == 0) end(c);
}

/* A complete head: an exchange begins. */
static http_exchange *begin(http_connection *c, const halo_http_head *head,
                            const char *data) {
  http_exchange *x = http_exchange_new(c, head, data);
  if (x == NULL) {
    refuse(c, 503, "not enough memory");
    return NULL;
  }
  c->phase = PHASE_BUSY;
  int status = http_exchange_parse(x);
  if (status == 0) return x;
  c->phase = PHASE_HEAD;
  c->exchange = NULL;
  x->connection = NULL;
  x->handling = false;
  http_exchange_settle(x);
  refuse(c, status,
         status == 501 ? "method not supported" : "malformed request");
  return NULL;
}

/* Passes over the bytes of one request, and runs its handler. True: the next
 * request may be looked at. */
static bool step(http_connection *c, halo_http_head *head, const char **data,
                 size_t *size) {
  halo_runtime *rt = c->server->rt;
  http_exchange *x = c->exchange;
  bool fresh = x == NULL;
  if (c->deaf) *size = 0;
  if (fresh) {
    if (*size == 0 || http_queued(c) > HTTP_QUEUED) return false;
    if (c->phase == PHASE_IDLE) {
      c->phase = PHASE_HEAD;
      c->since = halo_now(rt);
      move(c, true);
    }
    int found = halo_http_head_scan(head, *data, *size, &c->server->limits);
    if (found == 0) return false;
    x = found == 1 ? begin(c, head, *data) : NULL;
    if (x == NULL) {
      if (found != 1) refuse(c, found, head->reason);
      *size = 0;
      return false;
    }
    *data += head->size;
    *size -= head->size;
    memset(head, 0, sizeof *head);
  }
  if (!x->complete && *size > 0) {
    size_t used = http_exchange_receive(x, *data, *size);
    *data += used;
    *size -= used;
  }
  if (fresh) http_exchange_start(x, c->server);
  halo_drain(rt);
  return c->exchange == NULL && !c->deaf;
}

/* Keeps the bytes that cannot be looked at yet: the last 'size' ones. */
static bool keep(http_connection *c, const halo_http_head *head,
                 const char *data, size_t size) {
  if (c->deaf || size == 0) {
    drop_input(c);
    return true;
  }
  if (c->input == NULL) {
    if (new_input(c, data, size) == NULL) return false;
  } else {
    c->input->start = c->input->end - size;
  }
  c->input->head = *head;
  return true;
}

/* All that could be done with the bytes has been done. */
static void rest(http_connection *c) {
  if (c->phase == PHASE_ENDING) {
    shut_down(c);
  } else if (c->ended && c->exchange == NULL &&
             http_queued(c) <= HTTP_QUEUED) { /* a part of a head is left */
    end(c);
  } else {
    if (is_full(c))
      pause_reading(c);
    else
      http_resume(c);
    http_arm(c);
    if (c->phase == PHASE_IDLE && c->input == NULL) move(c, false);
  }
}

static void run(http_connection *c, const char *data, size_t size) {
  http_state *st = c->server->state;
  halo_http_head head;
  c->running = true;
  st->served = c;
  if (c->input == NULL) {
    memset(&head, 0, sizeof head);
  } else if (extend_input(c, data, size)) {
    data = c->input->data + c->input->start;
    size = c->input->end - c->input->start;
    head = c->input->head;
  } else {
    http_close(c, UV_ENOMEM);
  }
  while (step(c, &head, &data, &size)) continue;
  if (!keep(c, &head, data, size)) http_close(c, UV_ENOMEM);
  http_flush(c);
  st->gathered.size = 0;
  st->served = NULL;
  c->running = false;
  if (c->stream != NULL)
    rest(c);
  else {
    drop_input(c);
    free_connection(c);
  }
}

/* --- The stream's callbacks ----------------------------------------------- */

static void on_data(halo_stream *stream, const char *data, size_t size) {
  http_connection *c = stream->consumer_ud;
  if (!c->deaf) {
    run(c, data, size);
    return;
  }
  c->discarded += (uint32_t)size;
  if (c->discarded > HTTP_DISCARDED) http_close(c, 0);
}

static void on_end(halo_stream *stream, int status) {
  http_connection *c = stream->consumer_ud;
  http_exchange *x = c->exchange;
  c->ended = true;
  if (status != UV_EOF)
    http_close(c, status);
  else if (x != NULL && !x->complete)
    http_exchange_break(x, 0, UV_ECONNRESET, NULL, NULL);
  else if (x == NULL && c->phase != PHASE_ENDING)
    run(c, NULL, 0);
  else if (c->phase == PHASE_ENDING && http_queued(c) == 0)
    http_close(c, 0);
}

static void on_drain(halo_stream *stream, int status) {
  http_connection *c = stream->consumer_ud;
  http_exchange *x = c->exchange;
  if (status < 0) {
    http_close(c, status);
    return;
  }
  if (x != NULL) http_exchange_wake(x, 0);
  if (c->phase == PHASE_ENDING) {
    c->since = halo_now(stream->rt);
    if (c->ended) {
      http_close(c, 0);
      return;
    }
    http_arm(c);
    move(c, false);
  } else if (x == NULL && (c->input != NULL || c->ended)) {
    run(c, NULL, 0);
  }
}

static const halo_stream_consumer consumer = {on_data, on_end, on_drain,
                                              on_close};

/* --- Accepting ------------------------------------------------------------ */

static void turn_away(halo_stream *stream) {
  static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                             "Content-Length: 0\r\nConnection: close\r\n\r\n";
  uv_buf_t buf = uv_buf_init((char *)text, sizeof text - 1);
  stream->ops->try_write(stream, &buf, 1);
  stream->ops->close(stream);
}

void http_accept(http_server *s, halo_stream *stream) {
  if (s->connections >= s->max_connections && s->idle.first != NULL)
    http_close(s->idle.first, 0);
  if (s->stopping || s->connections >= s->max_connections) {
    turn_away(stream);
    return;
  }
  http_connection *c = calloc(1, sizeof *c);
  if (c == NULL) {
    turn_away(stream);
    return;
  }
  c->stream = stream;
  c->server = s;
  c->since = halo_now(s->rt);
  c->timer.fire = on_timer;
  c->timer.node.unref = 1;
  s->connections++;
  link_connection(c, false);
  stream->consumer_ud = c;
  stream->consumer = &consumer;
  if (s->unref) stream->ops->ref(stream, false);
  if (stream->ops->read_start(stream) < 0)
    http_close(c, 0);
  else
    http_arm(c);
}
