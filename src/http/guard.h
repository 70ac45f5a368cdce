/* What stands before llhttp: a strict look at the bytes of a request.
 *
 * llhttp lets through what RFC 9112 forbids and what two servers in a row may
 * understand differently (a bare LF, a folded line, a Host given twice). The
 * guard reads the same bytes first; only what it passes reaches llhttp. It
 * knows neither Lua nor streams, and allocates nothing but trailers. */
#ifndef HALO_HTTP_GUARD_H
#define HALO_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct halo_http_limits {
  size_t target;     /* bytes of the request target */
  size_t head;       /* bytes of all header lines */
  size_t trailers;   /* bytes of all trailer lines */
  size_t extension;  /* bytes of one chunk's extensions */
  size_t extensions; /* bytes of all chunk extensions of a body */
  unsigned fields;   /* header lines, and trailer lines */
} halo_http_limits;

/* A part of a head, counted from the head's first byte. */
typedef struct halo_http_span {
  uint32_t at, size;
} halo_http_span;

/* A request head. Zeroed before the first scan of a request. */
typedef struct halo_http_head {
  uint32_t next; /* where the next line to look at begins */
  uint32_t size; /* of the whole head, with the empty line */
  halo_http_span method, target, path, query, fields, host;
  uint64_t length;    /* Content-Length */
  const char *reason; /* why it is refused: static text */
  uint16_t count;     /* header lines */
  uint8_t minor;      /* HTTP/1.minor */
  uint8_t codings;    /* transfer codings named, at most 255 */
  bool in_fields : 1; /* the request line has been passed */
  bool has_query : 1;
  bool has_length : 1;
  bool has_host : 1;
  bool chunked : 1;      /* the last transfer coding is "chunked" */
  bool other_coding : 1; /* there is another one */
  bool close : 1;        /* Connection: close */
  bool keep_alive : 1;   /* Connection: keep-alive */
  bool connect : 1;      /* the method is CONNECT */
  bool upgrade : 1;      /* Upgrade and Connection: upgrade */
  bool has_upgrade : 1;
  bool names_upgrade : 1;
  bool expect : 1; /* Expect: 100-continue */
  bool expect_other : 1;
} halo_http_head;

/* Looks at a head that begins at 'data', of which 'size' bytes are there (the
 * same ones and more each time). 0: more are needed. 1: it is complete and
 * good, head->size bytes long. Else the status to refuse it with. */
int halo_http_head_scan(halo_http_head *head, const char *data, size_t size,
                        const halo_http_limits *limits);

/* A chunked body. Zeroed before the first scan. */
typedef struct halo_http_chunks {
  uint64_t left; /* of the chunk's size, then of its data */
  size_t extension, extensions;
  char *trailers; /* malloc'ed: the lines, without the empty one */
  size_t trailers_size, trailers_capacity;
  size_t line; /* where its last line begins */
  const char *reason;
  unsigned count; /* trailer lines */
  uint8_t state;
  uint8_t digits;
  bool skip; /* what was looked at last is not for llhttp */
} halo_http_chunks;

/* Looks at the next bytes of a chunked body. 0: *used bytes are good. 1: they
 * are, and the body has ended. Else the status to refuse it with.
 * Extensions come out alone, with 'skip' set: we ignore them, and llhttp 8
 * does not take all of those that are allowed. */
int halo_http_chunks_scan(halo_http_chunks *chunks, const char *data,
                          size_t size, const halo_http_limits *limits,
                          size_t *used);
void halo_http_chunks_free(halo_http_chunks *chunks);

/* The bytes are a token, as names of headers and methods must be. */
bool halo_http_is_token(const char *p, size_t size);
/* The bytes hold no control characters but tabs, as values must. */
bool halo_http_is_value(const char *p, size_t size);
/* The bytes are a decimal number that fits. */
bool halo_http_parse_length(const char *p, size_t size, uint64_t *length);
/* Equal but for the case of ASCII letters. 'lower' is in lower case. */
bool halo_http_same(const char *p, const char *lower, size_t size);

#endif
