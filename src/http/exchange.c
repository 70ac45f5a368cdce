/* One request and its answer, as far as Lua is not concerned. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

/* --- Records -------------------------------------------------------------- */

static void cancel_write(halo_wait *w) { (void)w; }

static http_exchange *take(http_state *st) {
  http_exchange *x = st->spare;
  http_buffer fields = {NULL, 0, 0};
  if (x != NULL) {
    st->spare = x->next;
    st->nspare--;
    fields = x->fields;
  } else {
    x = malloc(sizeof *x);
    if (x == NULL) return NULL;
  }
  memset(x, 0, offsetof(http_exchange, parser));
  x->fields = fields;
  x->state = st;
  x->writing.cancel = cancel_write;
  x->writing.what = "write";
  return x;
}

static void release(http_exchange *x) {
  http_state *st = x->state;
  if (x->response != NULL) {
    x->response->exchange = NULL;
    x->response->broken = x->status != 0 ? x->status : UV_EPIPE;
  }
  if (x->request != NULL) {
    x->request->exchange = NULL;
    if (x->has_reader) x->request->readable.reader = NULL;
  }
  http_exchange_wake(x, UV_ECANCELED);
  if (x->has_reader) halo_reader_close(&x->reader);
  halo_anchor_drop(st->rt, x->slot);
  halo_http_chunks_free(&x->chunks);
  x->fields.size = 0;
  if (x->fields.capacity > 4096) http_buffer_free(&x->fields);
  if (st->nspare < HTTP_SPARE && !halo_closing(st->rt)) {
    x->next = st->spare;
    st->spare = x;
    st->nspare++;
  } else {
    http_buffer_free(&x->fields);
    free(x);
  }
}

void http_exchange_free_spare(http_state *st) {
  while (st->spare != NULL) {
    http_exchange *x = st->spare;
    st->spare = x->next;
    http_buffer_free(&x->fields);
    free(x);
  }
  st->nspare = 0;
}

/* --- Handlers that go on without a connection ----------------------------- */

/* The runtime shuts down: no handler will ever end. */
static void close_late(halo_resource *r) {
  http_state *st =
      (http_state *)((char *)r - offsetof(http_state, late_resource));
  halo_resource_remove(r);
  while (st->late != NULL) {
    http_exchange *x = st->late;
    st->late = x->next;
    release(x);
  }
}

static void add_late(http_exchange *x) {
  http_state *st = x->state;
  if (st->late == NULL) {
    halo_resource_add(st->rt, &st->late_resource, "http handler", close_late);
    st->late_resource.unref = true;
  }
  x->prev = NULL;
  x->next = st->late;
  if (st->late != NULL) st->late->prev = x;
  st->late = x;
}

static void remove_late(http_exchange *x) {
  http_state *st = x->state;
  if (x->prev != NULL)
    x->prev->next = x->next;
  else
    st->late = x->next;
  if (x->next != NULL) x->next->prev = x->prev;
  if (st->late == NULL) halo_resource_remove(&st->late_resource);
}

/* The exchange has lost its connection: it goes, unless its handler has not
 * ended. */
static void lose(http_exchange *x) {
  if (!x->handling || halo_closing(x->state->rt))
    release(x);
  else if (!x->late) {
    x->late = true;
    add_late(x);
  }
}

/* --- The body ------------------------------------------------------------- */

static http_exchange *of_reader(halo_reader *r) {
  return (http_exchange *)((char *)r - offsetof(http_exchange, reader));
}

/* The handler wants (more of) the body, or has as much as it can hold. */
static void want(halo_reader *r, bool on) {
  http_exchange *x = of_reader(r);
  http_connection *c = x->connection;
  if (c == NULL) return;
  if (!on) {
    if (c->paused || x->complete) return;
    c->paused = true;
    c->stream->ops->read_stop(c->stream);
    return;
  }
  if (x->expecting && http_exchange_continue(x) < 0) return;
  x->body_at = halo_now(x->state->rt);
  http_resume(c);
  http_arm(c);
}

int http_exchange_continue(http_exchange *x) {
  http_connection *c = x->connection;
  if (!x->expecting || x->begun || c == NULL) return 0;
  x->expecting = false;
  x->body_at = halo_now(x->state->rt);
  uv_buf_t text = uv_buf_init((char *)"HTTP/1.1 100 Continue\r\n\r\n", 25);
  return http_send(c, &text, 1);
}

static int on_body(llhttp_t *parser, const char *data, size_t size) {
  http_exchange *x = parser->data;
  x->received += size;
  if (x->unwanted)
    x->drained += size;
  else
    halo_reader_feed(&x->reader, data, size);
  return 0;
}

static int on_message_complete(llhttp_t *parser) {
  http_exchange *x = parser->data;
  x->parsed = true;
  return 0;
}

static const llhttp_settings_t settings = {
    .on_body = on_body, .on_message_complete = on_message_complete};

/* 0, or the status to refuse the request with. */
static int execute(http_exchange *x, const char *data, size_t size) {
  llhttp_errno_t e = llhttp_execute(&x->parser, data, size);
  if (e == HPE_OK || (e == HPE_PAUSED_UPGRADE && x->parsed)) return 0;
  return e == HPE_INVALID_METHOD ? 501 : 400;
}

/* All of the body is there. */
static void end_body(http_exchange *x) {
  x->complete = true;
  if (x->has_reader) halo_reader_end(&x->reader, 0);
  http_exchange_settle(x);
}

/* 0: more are needed. 1: the body has ended. Else: it is refused. */
static int receive_sized(http_exchange *x, const char *data, size_t size,
                         size_t *used) {
  *used = size < x->left ? size : (size_t)x->left;
  x->left -= *used;
  int status = execute(x, data, *used);
  return status != 0 ? status : x->left == 0;
}

static int receive_chunks(http_exchange *x, const char *data, size_t size,
                          size_t *used) {
  const halo_http_limits *limits = &x->connection->server->limits;
  int found = 0;
  *used = 0;
  while (found == 0 && *used < size) {
    size_t n;
    found = halo_http_chunks_scan(&x->chunks, data + *used, size - *used,
                                  limits, &n);
    if (found > 1) return found;
    int status = x->chunks.skip ? 0 : execute(x, data + *used, n);
    if (status != 0) return status;
    *used += n;
  }
  return found;
}

static void refuse_body(http_exchange *x, int status) {
  const char *reason = x->chunks.reason;
  http_exchange_break(x, status, 0,
                      status == 413 || status == 431 ? "ERR_TOO_LARGE"
                                                     : "ERR_HTTP_BODY",
                      reason != NULL ? reason : "malformed request body");
}

size_t http_exchange_receive(http_exchange *x, const char *data, size_t size) {
  size_t used;
  x->body_at = halo_now(x->state->rt);
  x->expecting = false;
  int found = x->head.chunked ? receive_chunks(x, data, size, &used)
                              : receive_sized(x, data, size, &used);
  if (found > 1 || x->parsed != (found == 1)) {
    refuse_body(x, found > 1 ? found : 400);
    return size;
  }
  if (found == 1)
    end_body(x);
  else if (x->unwanted && x->drained > HTTP_DRAINED)
    http_exchange_break(x, 0, UV_ECANCELED, NULL, NULL);
  else if (!x->unwanted && halo_reader_held(&x->reader) >= HALO_READER_HIGH &&
           !halo_reader_is_waiting(&x->reader))
    want(&x->reader, false);
  return used;
}

void http_exchange_break(http_exchange *x, int http_status, int status,
                         const char *code, const char *message) {
  http_connection *c = x->connection;
  x->complete = x->broken = true;
  x->keep = false;
  if (http_status != 0 && c != NULL) c->deaf = true;
  if (x->has_reader) {
    if (code != NULL)
      halo_reader_end_code(&x->reader, code, message);
    else
      halo_reader_end(&x->reader, status);
  }
  if (http_status != 0 && !x->begun)
    http_answer_error(x, http_status, message);
  else
    http_exchange_settle(x);
}

/* --- The request ---------------------------------------------------------- */

http_exchange *http_exchange_new(http_connection *c, const halo_http_head *head,
                                 const char *data) {
  http_exchange *x = take(c->server->state);
  if (x == NULL) return NULL;
  x->connection = c;
  x->head = *head;
  x->raw = data;
  x->handling = true;
  x->body_at = c->since;
  x->keep = head->minor > 0 ? !head->close : head->keep_alive && !head->close;
  if (head->upgrade) x->keep = false; /* what follows may be no HTTP */
  if (head->chunked || head->length > 0) {
    x->left = head->length;
    x->expecting = head->expect;
    x->has_reader = true;
    halo_reader_init(&x->reader, x->state->rt, want);
    x->reader.stage = "request body";
  } else {
    x->complete = true;
  }
  c->exchange = x;
  return x;
}

int http_exchange_parse(http_exchange *x) {
  llhttp_init(&x->parser, HTTP_REQUEST, &settings);
  x->parser.data = x;
  int status = execute(x, x->raw, x->head.size);
  if (status == 0 && x->parsed != x->complete) status = 400;
  return status;
}

/* --- The handler ---------------------------------------------------------- */

static void report(http_exchange *x, http_server *s) {
  lua_State *S = halo_scratch(x->state->rt);
  lua_pushvalue(S, -1);
  halo_report(x->state->rt, S, s != NULL ? s->site : NULL);
}

static int push_unanswered(lua_State *L) {
  http_exchange *x = lua_touserdata(L, 1);
  const http_request *r = x->request;
  if (r == NULL) return 0;
  lua_pushfstring(L, "the handler ended without an answer to ");
  lua_pushlstring(L, r->raw + r->method.at, r->method.size);
  lua_pushliteral(L, " ");
  lua_pushlstring(L, r->raw + r->path.at, r->path.size);
  lua_concat(L, 4);
  return 1;
}

static void report_unanswered(http_exchange *x) {
  halo_runtime *rt = x->state->rt;
  struct halo_site *site = halo_site_keep(x->connection->server->site);
  int n = halo_protect(rt, push_unanswered, x); /* a finalizer may close us */
  if (n == 1)
    halo_report(rt, halo_scratch(rt), site);
  else
    lua_pop(halo_scratch(rt), n);
  halo_site_drop(site);
}

static void finish_unfinished(http_exchange *x) {
  if (!x->begun) {
    if (!x->broken) report_unanswered(x);
    if (x->connection == NULL) return;
    http_answer_error(x, x->broken ? 400 : 500, NULL);
  } else if (x->sized && x->promised > 0 && !x->bodiless) {
    http_abort(x->connection); /* the client is to see it */
  } else {
    http_answer_finish(x);
  }
}

static void on_handled(halo_runtime *rt, void *ud, bool failed, int n) {
  http_exchange *x = ud;
  x->task = NULL;
  if (failed && n > 0 && !halo_error_is(halo_scratch(rt), -1, "ECANCELED"))
    report(x, x->connection != NULL ? x->connection->server : NULL);
  http_connection *c = x->connection;
  if (c != NULL && !x->answered) {
    if (!failed)
      finish_unfinished(x);
    else if (!x->begun)
      http_answer_error(x, 500, NULL);
    else
      http_abort(c);
  }
  x->handling = false; /* only now: until here nobody frees it */
  if (x->late) remove_late(x);
  http_exchange_settle(x);
}

/* A handler whose request was refused meanwhile runs all the same, to see
 * what became of the body. */
void http_exchange_start(http_exchange *x, http_server *s) {
  halo_runtime *rt = x->state->rt;
  lua_State *S = halo_scratch(rt);
  x->max_body = s->max_body;
  halo_anchor_push(S, rt, s->slot);
  lua_pushlightuserdata(S, x);
  halo_task *t = halo_callback(rt, 1, s->site, s->context, on_handled, x);
  if (t != NULL && x->connection != NULL) x->task = t;
}

/* --- Its end -------------------------------------------------------------- */

static int push_written(lua_State *L) {
  int status = *(int *)lua_touserdata(L, 1);
  if (status < 0) return halo_fail(L, status, "write", NULL);
  lua_pushboolean(L, 1);
  return 1;
}

void http_exchange_wake(http_exchange *x, int status) {
  halo_runtime *rt = x->state->rt;
  if (x->writing.task == NULL || halo_closing(rt)) return;
  int n = halo_protect(rt, push_written, &status);
  halo_wait_finish(rt, &x->writing, n);
}

void http_exchange_cut(http_exchange *x, int status) {
  if (status == 0) status = x->status != 0 ? x->status : UV_ECONNRESET;
  x->connection = NULL;
  x->status = status;
  x->task = NULL;
  if (!x->complete) {
    x->complete = true;
    if (x->has_reader) halo_reader_end(&x->reader, status);
  }
  http_exchange_wake(x, status);
  http_exchange_settle(x);
}

static void leave(http_exchange *x) {
  http_connection *c = x->connection;
  x->connection = NULL;
  x->task = NULL;
  c->exchange = NULL;
  http_next(c, x->keep);
}

void http_exchange_settle(http_exchange *x) {
  http_connection *c = x->connection;
  if (c != NULL && x->answered) {
    if (x->complete) {
      leave(x);
    } else if (!x->handling) {
      if (!x->head.chunked && x->left > HTTP_DRAINED) x->keep = false;
      if (!x->keep) {
        x->complete = true;
        leave(x);
      } else if (!x->unwanted) { /* a little more is read for nothing */
        x->unwanted = true;
        http_resume(c);
        http_arm(c);
      }
    }
  }
  if (x->connection == NULL) lose(x);
}
