/* The answer: status line, header lines, body. */
#include <string.h>

#include "http/http.h"

const char *http_reason(int status) {
  switch (status) {
  case 100:
    return "Continue";
  case 101:
    return "Switching Protocols";
  case 103:
    return "Early Hints";
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 203:
    return "Non-Authoritative Information";
  case 204:
    return "No Content";
  case 205:
    return "Reset Content";
  case 206:
    return "Partial Content";
  case 207:
    return "Multi-Status";
  case 208:
    return "Already Reported";
  case 226:
    return "IM Used";
  case 300:
    return "Multiple Choices";
  case 301:
    return "Moved Permanently";
  case 302:
    return "Found";
  case 303:
    return "See Other";
  case 304:
    return "Not Modified";
  case 305:
    return "Use Proxy";
  case 307:
    return "Temporary Redirect";
  case 308:
    return "Permanent Redirect";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 402:
    return "Payment Required";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 406:
    return "Not Acceptable";
  case 407:
    return "Proxy Authentication Required";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 411:
    return "Length Required";
  case 412:
    return "Precondition Failed";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 416:
    return "Range Not Satisfiable";
  case 417:
    return "Expectation Failed";
  case 418:
    return "I'm a teapot";
  case 421:
    return "Misdirected Request";
  case 422:
    return "Unprocessable Content";
  case 423:
    return "Locked";
  case 424:
    return "Failed Dependency";
  case 425:
    return "Too Early";
  case 426:
    return "Upgrade Required";
  case 428:
    return "Precondition Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 451:
    return "Unavailable For Legal Reasons";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 502:
    return "Bad Gateway";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 505:
    return "HTTP Version Not Supported";
  case 506:
    return "Variant Also Negotiates";
  case 507:
    return "Insufficient Storage";
  case 508:
    return "Loop Detected";
  case 510:
    return "Not Extended";
  case 511:
    return "Network Authentication Required";
  default:
    return "Unknown";
  }
}

/* --- The head ------------------------------------------------------------- */

enum { HEAD_ROOM = 512 }; /* for all but the header lines that were set */

static void append_status(http_state *st, http_buffer *out, int status,
                          bool has_date) {
  http_set_date(st);
  if (status == 200 && !has_date) {
    http_append(out, st->ok, st->ok_size);
    return;
  }
  const char *reason = http_reason(status);
  http_append_literal(out, "HTTP/1.1 ");
  http_append_number(out, (uint64_t)status, 10);
  http_append_literal(out, " ");
  http_append(out, reason, strlen(reason));
  http_append_literal(out, "\r\n");
  if (!has_date) http_append(out, st->date, st->date_size);
}

static bool is_head(const http_exchange *x) {
  return x->parser.method == HTTP_HEAD;
}

/* Whether the connection can be kept when this answer has been given. */
static bool may_keep(const http_exchange *x, bool whole) {
  if (!x->keep || x->connection->server->stopping) return false;
  if (x->complete) return true;
  if (x->expecting) return false; /* the body may come or not */
  return !whole || x->head.chunked || x->left <= HTTP_DRAINED;
}

/* How the client knows where the body ends. */
static void append_framing(http_exchange *x, http_buffer *out, int status,
                           int64_t length) {
  if (x->has_length) {
    x->sized = true;
  } else if (status == 204 || (status == 304 && length <= 0)) {
    return;
  } else if (length >= 0) {
    x->sized = true;
    x->promised = (uint64_t)length;
    http_append_literal(out, "Content-Length: ");
    http_append_number(out, x->promised, 10);
    http_append_literal(out, "\r\n");
  } else if (x->head.minor > 0) {
    x->chunked = true;
    http_append_literal(out, "Transfer-Encoding: chunked\r\n");
  } else if (!x->bodiless) {
    x->keep = false; /* by the end of the connection */
  }
}

static void append_connection(const http_exchange *x, http_buffer *out) {
  if (x->has_connection) return;
  if (!x->keep)
    http_append_literal(out, "Connection: close\r\n");
  else if (x->head.minor == 0)
    http_append_literal(out, "Connection: keep-alive\r\n");
}

int http_answer_begin(http_exchange *x, http_buffer *out, int status,
                      int64_t length) {
  if (!http_reserve(out, HEAD_ROOM + x->fields.size)) {
    http_close(x->connection, UV_ENOMEM);
    return UV_ENOMEM;
  }
  x->begun = true;
  x->bodiless = is_head(x) || status == 204 || status == 304;
  x->keep = may_keep(x, length != HTTP_UNKNOWN);
  append_status(x->state, out, status, x->has_date);
  http_append(out, x->fields.data, x->fields.size);
  append_framing(x, out, status, length);
  append_connection(x, out);
  http_append_literal(out, "\r\n");
  return 0;
}

/* --- The body ------------------------------------------------------------- */

static int answered(http_exchange *x) {
  x->answered = true;
  http_exchange_settle(x);
  return 0;
}

int http_answer(http_exchange *x, int status, const char *type,
                const char *body, size_t size) {
  http_connection *c = x->connection;
  http_buffer *out = http_output(c);
  if (type != NULL && !x->has_type && status != 204 && status != 304) {
    if (http_reserve(&x->fields, 80)) {
      http_append_literal(&x->fields, "Content-Type: ");
      http_append(&x->fields, type, strlen(type));
      http_append_literal(&x->fields, "\r\n");
    }
  }
  int rc = http_answer_begin(x, out, status, (int64_t)size);
  if (rc < 0) return rc;
  uv_buf_t buf = {.base = (char *)body, .len = size};
  unsigned n = x->bodiless || size == 0 ? 0 : 1;
  if (n == 1 && size <= HTTP_INLINE && http_reserve(out, size)) {
    http_append(out, body, size);
    n = 0;
  }
  rc = http_send(c, &buf, n);
  return rc < 0 ? rc : answered(x);
}

int http_answer_write(http_exchange *x, int status, const uv_buf_t *bufs,
                      unsigned n, size_t size) {
  http_connection *c = x->connection;
  http_buffer *out = http_output(c);
  uv_buf_t all[HTTP_BUFFERS + 1];
  if (!x->begun) {
    int rc = http_answer_begin(x, out, status, HTTP_UNKNOWN);
    if (rc < 0) return rc;
  }
  if (x->bodiless || size == 0) return http_send(c, NULL, 0);
  if (x->sized) x->promised -= size;
  if (!x->chunked) return http_send(c, bufs, n);
  if (!http_reserve(out, 20)) {
    http_close(c, UV_ENOMEM);
    return UV_ENOMEM;
  }
  http_append_number(out, size, 16);
  http_append_literal(out, "\r\n");
  memcpy(all, bufs, n * sizeof *bufs);
  all[n] = uv_buf_init((char *)"\r\n", 2);
  return http_send(c, all, n + 1);
}

int http_answer_finish(http_exchange *x) {
  if (x->chunked && !x->bodiless) {
    uv_buf_t last = uv_buf_init((char *)"0\r\n\r\n", 5);
    int rc = http_send(x->connection, &last, 1);
    if (rc < 0) return rc;
  }
  return answered(x);
}

/* --- Errors --------------------------------------------------------------- */

static const char plain[] = "text/plain; charset=utf-8";

void http_answer_error(http_exchange *x, int status, const char *reason) {
  char body[160];
  if (x->connection == NULL || x->begun) return;
  x->refused = true;
  x->fields.size = 0;
  x->has_length = x->has_type = x->has_date = x->has_connection = false;
  int n = snprintf(body, sizeof body, "%s%s%s\n", http_reason(status),
                   reason != NULL ? ": " : "", reason != NULL ? reason : "");
  http_answer(x, status, plain, body, (size_t)n);
}

void http_append_error(http_connection *c, http_buffer *out, int status,
                       const char *reason) {
  char body[160];
  int n = snprintf(body, sizeof body, "%s: %s\n", http_reason(status), reason);
  if (!http_reserve(out, HEAD_ROOM + sizeof body)) return;
  append_status(c->server->state, out, status, false);
  http_append_literal(out, "Content-Type: text/plain; charset=utf-8\r\n"
                           "Content-Length: ");
  http_append_number(out, (uint64_t)n, 10);
  http_append_literal(out, "\r\nConnection: close\r\n\r\n");
  http_append(out, body, (size_t)n);
}
