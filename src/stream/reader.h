/* The pulled, bounded read buffer under everything that can be read: sockets,
 * HTTP bodies, files, TLS. The owner feeds it, tasks pull from it.
 *
 * An owner embeds a halo_reader, calls halo_reader_init, and feeds it with
 * halo_reader_feed and, once, halo_reader_end. Its userdata begins with a
 * halo_readable and its class has halo_readable_class as its super: then it
 * has all reading methods (read, read_exactly, read_line, read_until,
 * read_all, chunks, lines) and needs only a method 'close' of its own.
 *
 * feed, end, wake and close may be called from a libuv callback or from a C
 * function; they wake the waiting task, and the libuv callback drains last of
 * all, as always. An empty reader holds no memory. */
#ifndef HALO_STREAM_READER_H
#define HALO_STREAM_READER_H

#include "core/halo.h"

#define HALO_READER_HIGH 65536 /* bytes held: the source is stopped */
#define HALO_READER_LOW 32768  /* and started again from here down */
#define HALO_READER_LINE 65536 /* longest line, unless told */
#define HALO_READER_ALL (64 * 1024 * 1024) /* read_all, unless told */

typedef struct halo_reader halo_reader;

enum halo_reader_mode {
  HALO_READ_ANY,     /* what is there, up to 'size' bytes */
  HALO_READ_EXACTLY, /* 'size' bytes */
  HALO_READ_LINE,    /* up to "\n" or "\r\n", of at most 'size' bytes */
  HALO_READ_UNTIL,   /* up to a separator, at most 'size' bytes before it */
  HALO_READ_ALL      /* up to the end, at most 'size' bytes */
};

struct halo_reader {
  halo_wait wait;   /* the one task that reads; wait.task NULL: nobody */
  halo_runtime *rt; /* NULL: not initialised */
  /* Asks the source to produce or to stop. May feed or end the reader before
   * it returns. Never called for each message: once on, it stays on until
   * HALO_READER_HIGH bytes wait that nobody asked for. */
  void (*want)(halo_reader *r, bool on);
  /* A wait begins (true) or is over (false); may be NULL. For reference
   * counts and idle timers. */
  void (*waiting)(halo_reader *r, bool on);
  const char *stage; /* static: the 'stage' of errors; may be NULL */
  char *data;        /* malloc'ed, or NULL when empty */
  size_t start, end, capacity;
  size_t scanned;        /* of what is held: searched already */
  size_t size, sep_size; /* of the wait under way */
  const char *sep;       /* of the wait under way, for HALO_READ_UNTIL */
  const char *code;      /* static: the error it ended with, or NULL */
  char *message;         /* malloc'ed, goes with 'code' */
  int status;            /* 0, UV_EOF, or what broke the source */
  uint8_t mode;
  bool raises : 1; /* the wait raises its errors (an iterator) */
  bool on : 1;     /* the source was asked to produce */
  bool asked : 1;  /* … at some time */
  bool closed : 1;
  bool sep_owned : 1; /* 'sep' is a copy, malloc'ed for the wait */
};

/* Makes 'r' (any memory) an empty reader.                    [-0, +0, -] */
void halo_reader_init(halo_reader *r, halo_runtime *rt,
                      void (*want)(halo_reader *r, bool on));

/* --- The owner's side ---------------------------------------------------- */

/* More bytes came. A waiting task gets its string straight out of 'data';
 * what nobody waits for is copied. After the end: ignored. */
void halo_reader_feed(halo_reader *r, const char *data, size_t size);
/* Nothing more will come: 0 or UV_EOF, or the uv status that broke it. What
 * is held stays readable first. Only the first end counts. */
void halo_reader_end(halo_reader *r, int status);
/* The same with an error of ours; 'code' is static text, 'message' copied. */
void halo_reader_end_code(halo_reader *r, const char *code,
                          const char *message);
/* The wait under way, if any, gives nil and this error (ETIMEDOUT …); the
 * reader goes on as before. */
void halo_reader_wake(halo_reader *r, int status);
/* Closed: who waits gets ECANCELED, later reads EBADF, what was held is
 * freed. Twice is no error; the owner's memory may go afterwards. */
void halo_reader_close(halo_reader *r);
/* Takes out what is held: malloc'ed, or NULL when that is nothing. */
char *halo_reader_take(halo_reader *r, size_t *size);

#define halo_reader_held(r) ((r)->end - (r)->start)
#define halo_reader_is_ended(r) ((r)->status != 0)
#define halo_reader_is_waiting(r) ((r)->wait.task != NULL)

/* --- The task's side ----------------------------------------------------- */

/* The userdata of whatever can be read begins with this. */
typedef struct halo_readable {
  const halo_class *class;
  halo_reader *reader; /* NULL: closed (reads give EBADF) */
} halo_readable;
extern const halo_class halo_readable_class;

/* Makes the classes in this state: halo_stream_open does, so have it called
 * (require("halo.core").stream) before a readable is made.    [-0, +0, m] */
void halo_reader_register(lua_State *L);

/* Reads as 'mode' says: waits, and is to be returned from the C function that
 * Lua called, whose arguments are checked and stand alone on the stack; 'r'
 * may be NULL (closed). 'sep' is for HALO_READ_UNTIL, and must be a string on
 * the stack. Results: the string; nil at the end (ALL: ""); nil, err.
 *                                                            [-0, +n, e] */
int halo_reader_read(lua_State *L, halo_reader *r, enum halo_reader_mode mode,
                     size_t size, const char *sep, size_t sep_size);

#endif
