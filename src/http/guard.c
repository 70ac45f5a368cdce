/* A strict look at the bytes of a request. See guard.h. */
#include "http/guard.h"

#include <stdlib.h>
#include <string.h>

/* --- Bytes ---------------------------------------------------------------- */

/* clang-format off */
/* 1: of tokens (RFC 9110, 5.6.2); 2: of host names as well (RFC 3986) */
static const uint8_t classes[256] = {
  0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
  0,1,0,1,1,1,1,1,0,0,1,1,0,2,2,0, 2,2,2,2,2,2,2,2,2,2,0,0,0,0,0,0,
  0,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2, 2,2,2,2,2,2,2,2,2,2,2,0,0,0,1,2,
  1,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2, 2,2,2,2,2,2,2,2,2,2,2,0,1,0,2,0,
};
/* clang-format on */

static bool is_token(char c) { return classes[(unsigned char)c] != 0; }
static bool is_host_byte(char c) { return classes[(unsigned char)c] == 2; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static int hex(char c) {
  if (is_digit(c)) return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What may stand in a target: visible ASCII, and no fragment. */
static bool is_target(char c) { return c > ' ' && c < 0x7f && c != '#'; }

/* The first byte that a header's value must not hold (a control character
 * other than a tab), or 'end'. Eight bytes at a time: a byte is below 0x20 if
 * subtracting 0x20 borrows, and DEL if it is zero once 0x7f is taken out. */
static const char *value_end(const char *p, const char *end) {
  const uint64_t ones = 0x0101010101010101u, highs = ones * 0x80;
  for (;;) {
    while (end - p >= 8) {
      uint64_t x, y;
      memcpy(&x, p, sizeof x);
      y = x ^ (ones * 0x7f);
      if ((((x - ones * 0x20) & ~x) | ((y - ones) & ~y)) & highs) break;
      p += 8;
    }
    for (int i = 0; i < 8 && p < end; i++, p++)
      if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f) return p;
    if (p >= end) return end;
  }
}

bool halo_http_same(const char *p, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (lower(p[i]) != text[i]) return false;
  return true;
}

bool halo_http_is_token(const char *p, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (!is_token(p[i])) return false;
  return size > 0;
}

bool halo_http_is_value(const char *p, size_t size) {
  return value_end(p, p + size) == p + size;
}

bool halo_http_parse_length(const char *p, size_t size, uint64_t *length) {
  uint64_t n = 0;
  if (size == 0 || size > 18) return false;
  for (size_t i = 0; i < size; i++) {
    if (!is_digit(p[i])) return false;
    n = n * 10 + (uint64_t)(p[i] - '0');
  }
  *length = n;
  return true;
}

/* --- Hosts ---------------------------------------------------------------- */

/* [":" port]: up to five digits, or none. */
static bool is_port(const char *p, size_t size) {
  unsigned port = 0;
  if (size == 0) return true;
  if (p[0] != ':' || size > 6) return false;
  for (size_t i = 1; i < size; i++) {
    if (!is_digit(p[i])) return false;
    port = port * 10 + (unsigned)(p[i] - '0');
  }
  return port <= 65535;
}

/* host [":" port] of RFC 3986, without the delimiters that no host has. */
static bool is_host(const char *p, size_t size) {
  size_t i = 0;
  if (size == 0) return false;
  if (p[0] == '[') { /* an IPv6 address */
    for (i = 1; i < size && p[i] != ']'; i++)
      if (hex(p[i]) < 0 && p[i] != ':' && p[i] != '.') return false;
    if (i == size || i < 3) return false;
    return is_port(p + i + 1, size - i - 1);
  }
  for (; i < size && p[i] != ':'; i++) {
    if (p[i] == '%') {
      if (size - i < 3 || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0) return false;
    } else if (!is_host_byte(p[i])) {
      return false;
    }
  }
  return i > 0 && is_port(p + i, size - i);
}

/* The size of a host without the port that its scheme implies. */
static size_t without_port(const char *p, size_t size, const char *port) {
  size_t n = strlen(port);
  if (size > n && memcmp(p + size - n, port, n) == 0) return size - n;
  return size > 0 && p[size - 1] == ':' ? size - 1 : size;
}

/* --- The request line ----------------------------------------------------- */

static int refuse(halo_http_head *h, int status, const char *reason) {
  h->reason = reason;
  return status;
}

enum { METHOD_MAX = 32 };

/* method SP target SP HTTP/1.x CRLF, from h->next. 1: passed. */
static int scan_request_line(halo_http_head *h, const char *data, size_t size,
                             const halo_http_limits *limits) {
  const char *line = data + h->next, *end = data + size, *p = line;
  while (p < end && is_token(*p)) p++;
  if (p - line > METHOD_MAX) return refuse(h, 501, "unknown method");
  if (p == end) return 0;
  if (p == line || *p != ' ') return refuse(h, 400, "malformed request line");
  h->method = (halo_http_span){h->next, (uint32_t)(p - line)};
  const char *target = ++p;
  while (p < end && is_target(*p)) p++;
  if ((size_t)(p - target) > limits->target)
    return refuse(h, 414, "request target too long");
  if (p == end) return 0;
  if (p == target || *p != ' ')
    return refuse(h, 400, "malformed request target");
  h->target =
      (halo_http_span){(uint32_t)(target - data), (uint32_t)(p - target)};
  p++;
  size_t there = (size_t)(end - p);
  if (memcmp(p, "HTTP/", there < 5 ? there : 5) != 0)
    return refuse(h, 400, "malformed request line");
  if (there >= 8) {
    if (!is_digit(p[5]) || p[6] != '.' || !is_digit(p[7]))
      return refuse(h, 400, "malformed HTTP version");
    if (p[5] != '1' || p[7] > '1')
      return refuse(h, 505, "HTTP version not supported");
    if (there >= 9 && p[8] != '\r')
      return refuse(h, 400, "malformed request line");
    if (there >= 10 && p[9] != '\n')
      return refuse(h, 400, "malformed request line");
  }
  if (there < 10) return 0;
  h->minor = (uint8_t)(p[7] - '0');
  h->connect = h->method.size == 7 && memcmp(line, "CONNECT", 7) == 0;
  h->next = h->fields.at = (uint32_t)(p + 10 - data);
  h->in_fields = true;
  return 1;
}

/* --- Header lines --------------------------------------------------------- */

typedef struct field {
  const char *name, *value, *next; /* next: behind the line */
  size_t name_size, value_size;
  const char *reason;
} field;

enum { FIELD_MORE, FIELD_GOOD, FIELD_LAST, FIELD_BAD };

static int bad_field(field *f, const char *reason) {
  f->reason = reason;
  return FIELD_BAD;
}

/* The line at 'line', or the empty one that ends them all. */
static int scan_field(field *f, const char *line, const char *end) {
  const char *p = line;
  if (p == end) return FIELD_MORE;
  if (*p == '\r') {
    if (end - p < 2) return FIELD_MORE;
    f->next = p + 2;
    return p[1] == '\n' ? FIELD_LAST : bad_field(f, "bare CR");
  }
  if (*p == ' ' || *p == '\t') return bad_field(f, "folded header line");
  while (p < end && is_token(*p)) p++;
  if (p == end) return FIELD_MORE;
  if (*p != ':' || p == line)
    return bad_field(f, *p == ' ' || *p == '\t'
                            ? "blank before the colon of a header"
                            : "malformed header name");
  f->name = line;
  f->name_size = (size_t)(p - line);
  p++;
  while (p < end && (*p == ' ' || *p == '\t')) p++;
  f->value = p;
  p = value_end(p, end);
  if (p == end || (*p == '\r' && end - p < 2)) return FIELD_MORE;
  if (*p == '\n') return bad_field(f, "bare LF");
  if (*p != '\r') return bad_field(f, "control character in a header");
  if (p[1] != '\n') return bad_field(f, "bare CR");
  f->next = p + 2;
  while (p > f->value && (p[-1] == ' ' || p[-1] == '\t')) p--;
  f->value_size = (size_t)(p - f->value);
  return FIELD_GOOD;
}

/* Gives the next element of a comma-separated list, trimmed, from *at on;
 * false when there is none. Elements may be empty. */
static bool next_element(const char *p, size_t size, size_t *at,
                         const char **element, size_t *n) {
  if (*at > size) return false;
  size_t i = *at, from = i;
  while (i < size && p[i] != ',') i++;
  *at = i + 1;
  while (from < i && (p[from] == ' ' || p[from] == '\t')) from++;
  while (i > from && (p[i - 1] == ' ' || p[i - 1] == '\t')) i--;
  *element = p + from;
  *n = i - from;
  return true;
}

static bool is(const char *p, size_t size, const char *text) {
  return size == strlen(text) && halo_http_same(p, text, size);
}

static void note_connection(halo_http_head *h, const field *f) {
  const char *p;
  size_t at = 0, n;
  while (next_element(f->value, f->value_size, &at, &p, &n)) {
    if (is(p, n, "close")) h->close = true;
    if (is(p, n, "keep-alive")) h->keep_alive = true;
    if (is(p, n, "upgrade")) h->names_upgrade = true;
  }
}

/* "chunked" must come last, and only once. */
static void note_codings(halo_http_head *h, const field *f) {
  const char *p;
  size_t at = 0, n;
  while (next_element(f->value, f->value_size, &at, &p, &n)) {
    if (h->chunked) h->other_coding = true;
    h->chunked = is(p, n, "chunked");
    if (!h->chunked) h->other_coding = true;
    if (h->codings < 255) h->codings++;
  }
}

/* Takes note of a line that decides how the request is understood. 0: good */
static int note_field(halo_http_head *h, const field *f, const char *data) {
  const char *name = f->name;
  switch (f->name_size) {
  case 4:
    if (!halo_http_same(name, "host", 4)) break;
    if (h->has_host) return refuse(h, 400, "more than one Host");
    if (!is_host(f->value, f->value_size))
      return refuse(h, 400, "malformed Host");
    h->has_host = true;
    h->host =
        (halo_http_span){(uint32_t)(f->value - data), (uint32_t)f->value_size};
    break;
  case 6:
    if (!halo_http_same(name, "expect", 6)) break;
    if (is(f->value, f->value_size, "100-continue"))
      h->expect = true;
    else
      h->expect_other = true;
    break;
  case 7:
    if (halo_http_same(name, "upgrade", 7)) h->has_upgrade = true;
    break;
  case 10:
    if (halo_http_same(name, "connection", 10)) note_connection(h, f);
    break;
  case 14:
    if (!halo_http_same(name, "content-length", 14)) break;
    if (h->has_length) return refuse(h, 400, "more than one Content-Length");
    if (!halo_http_parse_length(f->value, f->value_size, &h->length))
      return refuse(h, 400, "malformed Content-Length");
    h->has_length = true;
    break;
  case 17:
    if (halo_http_same(name, "transfer-encoding", 17)) note_codings(h, f);
    break;
  }
  return 0;
}

/* --- The whole head ------------------------------------------------------- */

static void split_path(halo_http_head *h, const char *data, size_t from) {
  const char *p = data + from;
  size_t size = h->target.at + h->target.size - from;
  const char *q = memchr(p, '?', size);
  h->path = (halo_http_span){(uint32_t)from, (uint32_t)size};
  if (q == NULL) return;
  h->has_query = true;
  h->path.size = (uint32_t)(q - p);
  h->query = (halo_http_span){(uint32_t)(q + 1 - data),
                              (uint32_t)(size - h->path.size - 1)};
}

/* scheme://host[:port][/path][?query], whose host must be Host's. */
static int check_absolute(halo_http_head *h, const char *data) {
  const char *p = data + h->target.at, *end = p + h->target.size, *port = ":80";
  if (h->target.size > 7 && halo_http_same(p, "http://", 7)) {
    p += 7;
  } else if (h->target.size > 8 && halo_http_same(p, "https://", 8)) {
    p += 8;
    port = ":443";
  } else {
    return refuse(h, 400, "malformed request target");
  }
  const char *host = p;
  while (p < end && *p != '/' && *p != '?') p++;
  size_t size = (size_t)(p - host);
  if (!is_host(host, size)) return refuse(h, 400, "malformed request target");
  if (h->has_host) {
    const char *other = data + h->host.at;
    size_t n = without_port(other, h->host.size, port);
    size = without_port(host, size, port);
    if (n != size) return refuse(h, 400, "Host and the target differ");
    for (size_t i = 0; i < n; i++)
      if (lower(host[i]) != lower(other[i]))
        return refuse(h, 400, "Host and the target differ");
  }
  split_path(h, data, (size_t)(p - data));
  return 0;
}

static int check_target(halo_http_head *h, const char *data) {
  const char *p = data + h->target.at;
  if (h->connect) {
    if (!is_host(p, h->target.size) || memchr(p, ':', h->target.size) == NULL)
      return refuse(h, 400, "malformed request target");
    return refuse(h, 501, "CONNECT is not supported");
  }
  if (p[0] == '/') {
    split_path(h, data, h->target.at);
    return 0;
  }
  if (p[0] == '*' && h->target.size == 1) {
    h->path = h->target;
    if (h->method.size == 7 && memcmp(data + h->method.at, "OPTIONS", 7) == 0)
      return 0;
    return refuse(h, 400, "malformed request target");
  }
  return check_absolute(h, data);
}

/* All lines are there: do they agree?  1: yes */
static int check_head(halo_http_head *h, const char *data) {
  h->upgrade = h->has_upgrade && h->names_upgrade;
  if (h->codings > 0) {
    if (h->has_length)
      return refuse(h, 400, "Content-Length and Transfer-Encoding");
    if (h->minor == 0) return refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    if (!h->chunked)
      return refuse(h, 400, "Transfer-Encoding does not end in chunked");
    if (h->other_coding) return refuse(h, 501, "transfer coding not supported");
  }
  if (h->minor == 1 && !h->has_host) return refuse(h, 400, "no Host");
  int status = check_target(h, data);
  if (status != 0) return status;
  if (h->minor == 0)
    h->expect = false;
  else if (h->expect_other)
    return refuse(h, 417, "expectation not supported");
  return 1;
}

/* One empty line before the request line is no harm (RFC 9112, 2.2).
 * 1: passed */
static int skip_empty_line(halo_http_head *h, const char *data, size_t size) {
  if (data[0] != '\r') return 1;
  if (size < 2) return 0;
  if (data[1] != '\n') return refuse(h, 400, "malformed request line");
  h->next = 2;
  return 1;
}

int halo_http_head_scan(halo_http_head *h, const char *data, size_t size,
                        const halo_http_limits *limits) {
  int status;
  if (!h->in_fields) {
    if (size == 0) return 0;
    if (h->next == 0) {
      status = skip_empty_line(h, data, size);
      if (status != 1) return status;
    }
    status = scan_request_line(h, data, size, limits);
    if (status != 1) return status;
  }
  for (;;) {
    field f;
    int found = scan_field(&f, data + h->next, data + size);
    if (found == FIELD_BAD) return refuse(h, 400, f.reason);
    size_t seen = found == FIELD_MORE ? size : (size_t)(f.next - data);
    if (found != FIELD_LAST && seen - h->fields.at > limits->head)
      return refuse(h, 431, "header lines too large");
    if (found == FIELD_MORE) return 0;
    if (found == FIELD_LAST) {
      h->fields.size = h->next - h->fields.at;
      h->size = (uint32_t)seen;
      return check_head(h, data);
    }
    h->next = (uint32_t)seen;
    if (++h->count > limits->fields)
      return refuse(h, 431, "too many header lines");
    status = note_field(h, &f, data);
    if (status != 0) return status;
  }
}

/* --- Chunked bodies ------------------------------------------------------- */

enum {
  CHUNK_SIZE,
  CHUNK_EXTENSION,
  CHUNK_SIZE_LF,
  CHUNK_DATA,
  CHUNK_DATA_CR,
  CHUNK_DATA_LF,
  CHUNK_TRAILERS,
  CHUNK_END
};

static int refuse_chunk(halo_http_chunks *c, int status, const char *reason) {
  c->reason = reason;
  return status;
}

/* One byte of a chunk's size. 0: good */
static int scan_size(halo_http_chunks *c, char byte) {
  int digit = hex(byte);
  if (digit >= 0) {
    if (++c->digits > 15) return refuse_chunk(c, 400, "chunk too large");
    c->left = c->left * 16 + (uint64_t)digit;
    return 0;
  }
  if (c->digits == 0 || byte != '\r')
    return refuse_chunk(c, 400, "malformed chunk size");
  c->state = CHUNK_SIZE_LF;
  return 0;
}

/* The extensions up to their CR, which is the size's again. 0: good */
static int scan_extension(halo_http_chunks *c, const char *data, size_t size,
                          const halo_http_limits *limits, size_t *used) {
  const char *end = value_end(data, data + size);
  size_t n = (size_t)(end - data);
  c->extension += n;
  c->extensions += n;
  if (c->extension > limits->extension || c->extensions > limits->extensions)
    return refuse_chunk(c, 413, "chunk extensions too large");
  if (n < size) {
    if (*end != '\r')
      return refuse_chunk(c, 400, "control character in a chunk extension");
    c->state = CHUNK_SIZE;
  }
  c->skip = true;
  *used = n;
  return 0;
}

static bool keep_trailer(halo_http_chunks *c, const char *data, size_t size) {
  if (c->trailers_capacity - c->trailers_size < size) {
    size_t capacity = 2 * c->trailers_capacity + size;
    char *p = realloc(c->trailers, capacity);
    if (p == NULL) return false;
    c->trailers = p;
    c->trailers_capacity = capacity;
  }
  memcpy(c->trailers + c->trailers_size, data, size);
  c->trailers_size += size;
  return true;
}

/* Trailers are kept as they come and looked at line by line. Gives how many
 * bytes are used, or 0 with *status set. */
static size_t scan_trailers(halo_http_chunks *c, const char *data, size_t size,
                            const halo_http_limits *limits, int *status) {
  const char *nl = memchr(data, '\n', size);
  size_t n = nl != NULL ? (size_t)(nl - data) + 1 : size;
  if (c->trailers_size + n > limits->trailers + 2) {
    *status = refuse_chunk(c, 431, "trailers too large");
    return 0;
  }
  if (!keep_trailer(c, data, n)) {
    *status = refuse_chunk(c, 503, "not enough memory");
    return 0;
  }
  if (nl == NULL) return n;
  field f;
  int found =
      scan_field(&f, c->trailers + c->line, c->trailers + c->trailers_size);
  if (found == FIELD_LAST) {
    c->trailers_size = c->line;
    c->state = CHUNK_END;
  } else if (found == FIELD_GOOD && ++c->count <= limits->fields) {
    c->line = c->trailers_size;
  } else {
    *status = refuse_chunk(c, found == FIELD_GOOD ? 431 : 400,
                           found == FIELD_GOOD ? "too many trailer lines"
                                               : "malformed trailer");
    return 0;
  }
  return n;
}

/* A byte that must be what it is. */
static bool step(halo_http_chunks *c, char byte, char expected, int state) {
  c->state = (uint8_t)state;
  if (byte == expected) return true;
  c->reason = "malformed chunk";
  return false;
}

int halo_http_chunks_scan(halo_http_chunks *c, const char *data, size_t size,
                          const halo_http_limits *limits, size_t *used) {
  size_t i = 0;
  int status = 0;
  c->skip = false;
  if (c->state == CHUNK_EXTENSION && size > 0)
    return scan_extension(c, data, size, limits, used);
  while (i < size && c->state != CHUNK_END && c->state != CHUNK_EXTENSION) {
    switch (c->state) {
    case CHUNK_SIZE:
      if (data[i] == ';' && c->digits > 0) {
        c->state = CHUNK_EXTENSION;
        break;
      }
      status = scan_size(c, data[i++]);
      if (status != 0) return status;
      break;
    case CHUNK_SIZE_LF:
      if (!step(c, data[i++], '\n', c->left > 0 ? CHUNK_DATA : CHUNK_TRAILERS))
        return 400;
      c->digits = 0;
      c->extension = 0;
      break;
    case CHUNK_DATA: {
      size_t n = size - i;
      if (n > c->left) n = (size_t)c->left;
      i += n;
      c->left -= n;
      if (c->left == 0) c->state = CHUNK_DATA_CR;
      break;
    }
    case CHUNK_DATA_CR:
      if (!step(c, data[i++], '\r', CHUNK_DATA_LF)) return 400;
      break;
    case CHUNK_DATA_LF:
      if (!step(c, data[i++], '\n', CHUNK_SIZE)) return 400;
      break;
    case CHUNK_TRAILERS:
      i += scan_trailers(c, data + i, size - i, limits, &status);
      if (status != 0) return status;
      break;
    }
  }
  *used = i;
  return c->state == CHUNK_END;
}

void halo_http_chunks_free(halo_http_chunks *c) {
  free(c->trailers);
  c->trailers = NULL;
  c->trailers_size = c->trailers_capacity = 0;
}
