/* The HTTP/1.1 server: what the files of this folder share.
 *
 * A connection is a state machine over a halo_stream. Its bytes go through
 * the guard, then through llhttp; a complete head starts an exchange: a
 * request, its answer, and the task of the handler. Exchanges of a connection
 * follow each other: the next head is looked at once the answer before has
 * been given. An idle connection holds neither exchange nor buffer.
 *
 *   connection.c  the state machine, its timers and its end
 *   exchange.c    one request and its answer, as far as Lua is not concerned
 *   answer.c      the answer's bytes; output.c, their way out
 *   request.c, response.c, headers.c   what Lua sees
 *   server.c      options, the acceptor, stopping */
#ifndef HALO_HTTP_HTTP_H
#define HALO_HTTP_HTTP_H

#include <llhttp.h>
#include <string.h>
#include <time.h>

#include "http/guard.h"
#include "stream/reader.h"
#include "stream/stream.h"

typedef struct http_state http_state;
typedef struct http_server http_server;
typedef struct http_connection http_connection;
typedef struct http_exchange http_exchange;
typedef struct http_input http_input;

enum {
  HTTP_PIPELINED = 65536,   /* bytes ahead of the answer: reading stops */
  HTTP_DRAINED = 65536,     /* bytes of an unread body that are still read */
  HTTP_DISCARDED = 1 << 20, /* bytes read for nothing before a close */
  HTTP_LINGER = 2000,       /* ms for the client to close, after we did */
  HTTP_INLINE = 16384,      /* longer bodies are not copied behind the head */
  HTTP_GATHERED = 65536,    /* answers of one read: at most so many at once */
  HTTP_BUFFERS = 14,        /* of one write */
  HTTP_QUEUED = 65536,      /* bytes not taken by the system: a write waits */
  HTTP_SPARE = 64           /* exchanges kept for reuse */
};

/* --- output.c: bytes on their way out ------------------------------------- */

typedef struct http_buffer {
  char *data;
  size_t size, capacity;
} http_buffer;

/* Makes room for 'size' more bytes; false: no memory. */
bool http_reserve(http_buffer *b, size_t size);
/* Appends, where there is room. */
static inline void http_append(http_buffer *b, const char *data, size_t size) {
  if (size == 0) return;
  memcpy(b->data + b->size, data, size);
  b->size += size;
}
#define http_append_literal(b, text) http_append(b, text, sizeof(text) - 1)
void http_append_number(http_buffer *b, uint64_t n, unsigned base);
void http_buffer_free(http_buffer *b);

/* The buffer into which the connection's next bytes go. */
http_buffer *http_output(http_connection *c);
/* What was appended to it, and after it 'n' further buffers, leave: at once,
 * or with the other answers of this read. 0, or what broke the connection,
 * which then is closed. */
int http_send(http_connection *c, const uv_buf_t *bufs, unsigned n);
/* What has gathered leaves now. */
void http_flush(http_connection *c);

/* --- The runtime's -------------------------------------------------------- */

struct http_state { /* a userdata, for ever in the registry */
  const halo_class *class;
  halo_runtime *rt;
  http_connection *served;  /* whose bytes are looked at now */
  http_buffer gathered;     /* its answers */
  http_buffer side;         /* an answer of any other */
  http_input *first, *last; /* connections that are to go on */
  uv_idle_t *turn;          /* which does it */
  http_exchange *spare;
  unsigned nspare;
  http_exchange *late;         /* whose handlers go on without a connection */
  halo_resource late_resource; /* ends them at shutdown */
  halo_reader empty;           /* of requests without a body */
  time_t date_at;              /* the second that 'date' tells */
  char date[64];               /* "Date: …\r\n" */
  size_t date_size;
  char ok[96]; /* the status line of a 200, and that */
  size_t ok_size;
};

/* Brings 'date' and 'ok' up to date. */
void http_set_date(http_state *st);

/* --- server.c ------------------------------------------------------------- */

typedef struct http_list {
  http_connection *first, *last;
} http_list;

typedef struct http_stopper http_stopper; /* a task in server:stop */

struct http_server {
  http_state *state;
  halo_runtime *rt;
  halo_http_limits limits;
  uint64_t headers_timeout, request_timeout, body_timeout; /* ms; 0: none */
  uint64_t keep_alive_timeout, write_timeout;
  size_t max_body;
  unsigned max_connections, connections;
  http_list idle, active; /* the one idle for longest is first */
  http_stopper *stoppers;
  int slot; /* the function that starts a request's handler */
  struct halo_site *site;
  struct halo_context *context;
  bool stopping; /* nobody is kept alive any more */
  bool dropped;  /* its userdata has gone */
  bool unref;    /* idle connections do not keep the process up */
};

/* A connection has ended, or has become idle. */
void http_server_check(http_server *s);

/* --- connection.c --------------------------------------------------------- */

enum http_phase {
  PHASE_IDLE,  /* nothing has come of the next request */
  PHASE_HEAD,  /* part of a head has come */
  PHASE_BUSY,  /* an exchange is under way */
  PHASE_ENDING /* the last answer was given: until it has arrived */
};

struct http_connection {
  halo_stream *stream; /* NULL: closed */
  http_server *server;
  http_connection *next, *prev; /* in the server's list */
  http_exchange *exchange;
  http_input *input;
  uint64_t since; /* ms: when the phase began; the request's first byte */
  uint64_t moved; /* ms: when bytes last left the stream's queue */
  halo_calltimer timer;
  uint32_t queued;    /* bytes of that queue, then */
  uint32_t discarded; /* in the end phase */
  uint8_t phase;      /* enum http_phase */
  bool running : 1;   /* its bytes are being looked at */
  bool paused : 1;    /* reading is off */
  bool ended : 1;     /* the client will send nothing more */
  bool deaf : 1;      /* what it still sends is not looked at */
  bool served : 1;    /* it has had an answer */
  bool is_active : 1; /* which list it is in */
};

/* Bytes that have come too early, or a part of a head. */
struct http_input {
  http_connection *connection;
  http_input *next; /* in the state's list */
  bool listed;
  halo_http_head head; /* what is known of it */
  size_t start, end, capacity;
  char data[];
};

/* Takes a new stream. */
void http_accept(http_server *s, halo_stream *stream);
/* Ends the connection at once; its exchange learns of 'status'. */
void http_close(http_connection *c, int status);
/* The same, but what has been written leaves first. */
void http_abort(http_connection *c);
/* The exchange no longer needs the connection, which goes on with the next
 * request, or ends if there is to be none. */
void http_next(http_connection *c, bool keep);
/* Reading goes on, if nothing speaks against it. */
void http_resume(http_connection *c);
/* A deadline may have come nearer. */
void http_arm(http_connection *c);
/* Bytes in the stream's queue that have yet to leave. */
size_t http_queued(const http_connection *c);

/* --- exchange.c ----------------------------------------------------------- */

typedef struct http_request http_request;
typedef struct http_response http_response;

struct http_exchange {
  halo_wait writing;           /* the task that waits to write */
  http_connection *connection; /* NULL: it has ended or gone on */
  http_state *state;
  http_exchange *next, *prev; /* in the list of spare or late ones */
  http_request *request;      /* the userdata, anchored … */
  http_response *response;    /* … by 'slot' */
  int slot;
  int status;      /* what broke the connection */
  halo_task *task; /* the handler's, while it waits */
  const char *raw; /* the head, until the handler starts */
  size_t max_body;
  halo_http_head head;
  halo_http_chunks chunks;
  uint64_t left;      /* of a body whose length is known */
  uint64_t received;  /* bytes of body */
  uint64_t body_at;   /* ms: when some last came */
  uint64_t drained;   /* bytes of body that nobody wanted */
  uint64_t promised;  /* of the answer: what its Content-Length leaves */
  http_buffer fields; /* of the answer: header lines */
  bool has_reader : 1;
  bool parsed : 1;    /* llhttp has seen the message's end */
  bool complete : 1;  /* the request is all there, or broken */
  bool broken : 1;    /* … its body is, through no fault of the handler's */
  bool unwanted : 1;  /* its body is not read any more */
  bool expecting : 1; /* the client waits for 100 Continue */
  bool handling : 1;  /* the handler has not ended */
  bool late : 1;      /* … and has no connection any more */
  bool keep : 1;      /* the connection may be kept after it */
  bool begun : 1;     /* the answer's head has been given */
  bool answered : 1;  /* all of the answer has been given */
  bool refused : 1;   /* … by us, in place of the handler */
  bool chunked : 1;   /* the answer is */
  bool bodiless : 1;  /* … has no body, whatever is written */
  bool sized : 1;     /* … has a Content-Length, 'promised' */
  bool has_length : 1, has_type : 1, has_date : 1, has_connection : 1;
  /* From here on not zeroed in a new one. */
  llhttp_t parser;
  halo_reader reader; /* where there is a body */
};

/* A new exchange for a complete head of the connection. */
http_exchange *http_exchange_new(http_connection *c, const halo_http_head *head,
                                 const char *data);
/* llhttp looks at the head. 0, or the status to refuse it with. */
int http_exchange_parse(http_exchange *x);
/* Takes bytes of the body; gives how many are used. */
size_t http_exchange_receive(http_exchange *x, const char *data, size_t size);
/* Runs the handler until it ends or waits. */
void http_exchange_start(http_exchange *x, http_server *s);
/* The connection has ended. */
void http_exchange_cut(http_exchange *x, int status);
/* The body ends here: what is left of it will not come or is not wanted. */
void http_exchange_break(http_exchange *x, int http_status, int status,
                         const char *code, const char *message);
/* Whoever waits to write goes on, or learns what broke. */
void http_exchange_wake(http_exchange *x, int status);
/* Goes on to the next request, or frees the exchange, if it is time. */
void http_exchange_settle(http_exchange *x);
/* Sends 100 Continue, if the client waits for it. */
int http_exchange_continue(http_exchange *x);
void http_exchange_free_spare(http_state *st);

/* --- answer.c: each gives 0 or what broke the connection ------------------ */

enum { HTTP_UNKNOWN = -1 }; /* the length of a body that comes in pieces */
int http_answer(http_exchange *x, int status, const char *type,
                const char *body, size_t size);
int http_answer_begin(http_exchange *x, http_buffer *out, int status,
                      int64_t length);
int http_answer_write(http_exchange *x, int status, const uv_buf_t *bufs,
                      unsigned n, size_t size);
int http_answer_finish(http_exchange *x);
/* An answer of ours in place of the handler's. */
void http_answer_error(http_exchange *x, int status, const char *reason);

/* The reason phrase of a status. */
const char *http_reason(int status);
/* Appends a whole error answer, after which the connection ends. */
void http_append_error(http_connection *c, http_buffer *out, int status,
                       const char *reason);

/* --- headers.c ------------------------------------------------------------ */

/* Pushes the headers of a request, whose bytes are the userdata's at 'index'
 * (or copied, if that is 0).                                 [-0, +1, m] */
void http_headers_push(lua_State *L, const char *lines, size_t size, int index);
/* Pushes the headers of the response at 'index'.             [-0, +1, m] */
void http_headers_push_response(lua_State *L, int index);
/* Sets (nil removes) or adds a header of the response to the value at
 * 'index'.                                                   [-0, +0, v] */
void http_header_set(lua_State *L, http_exchange *x, int name, int index,
                     bool add);
/* Replaces all of them by those of the table at 'index'.     [-0, +0, v] */
void http_headers_assign(lua_State *L, http_exchange *x, int index);
void http_headers_register(lua_State *L);

/* --- request.c, response.c ------------------------------------------------ */

struct http_request {
  halo_readable readable;
  http_exchange *exchange; /* NULL: over */
  size_t size;
  size_t max_body;
  halo_http_span method, target, path, query, fields;
  uint8_t minor;
  bool has_query;
  char raw[]; /* the head */
};

struct http_response {
  const halo_class *class;
  http_exchange *exchange; /* NULL: over */
  int status;
  int broken; /* once it is over: what writing gives */
};

extern const halo_class http_request_class, http_response_class;

/* The function that starts a handler: upvalues are the runtime, the handler
 * and the two metatables. Light userdata 1 is the exchange. */
int http_dispatch(lua_State *L);
/* Makes the classes; pushes the tables of their methods and getters, to which
 * Lua may add.                                               [-0, +2, m] */
void http_request_register(lua_State *L);
/* Makes the class; pushes the table of its methods.          [-0, +1, m] */
void http_response_register(lua_State *L);
/* core.http.parse_query(s, [max]) -> {name, value, …} */
int http_parse_query(lua_State *L);

/* Opens the binding: pushes its table.                       [-0, +1, m] */
int halo_http_open(lua_State *L);

#endif
