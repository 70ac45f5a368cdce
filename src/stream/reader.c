/* The pulled, bounded read buffer. See reader.h.
 *
 * Everything turns on one question: do the bytes that are there answer the
 * wait? 'look' decides it and knows no Lua; what it finds is pushed either on
 * the reading task's own stack, at once, or by 'settle' on the scratch stack
 * when the bytes come later. */
#include "stream/reader.h"

#include <stdlib.h>
#include <string.h>

enum found {
  NOTHING, /* wait on */
  BYTES,   /* 'give' bytes, and 'take' are used up */
  END,     /* the end, cleanly */
  CUT,     /* the end, in the middle of what was to be read exactly */
  BROKEN,  /* what broke the source */
  TOO_LARGE
};

typedef struct answer {
  enum found found;
  size_t give, take;
} answer;

/* --- Looking -------------------------------------------------------------- */

/* The answer of a reader that holds 'size' bytes, which did not do. */
static answer look_end(const halo_reader *r, size_t size) {
  bool eof = r->status == UV_EOF;
  answer a = {NOTHING, 0, 0};
  if (r->status == 0) return a;
  if (!eof)
    a.found = BROKEN;
  else if (r->mode == HALO_READ_ALL ||
           (size > 0 && r->mode != HALO_READ_EXACTLY))
    a = (answer){BYTES, size, size};
  else if (size > 0)
    a = (answer){CUT, size, size};
  else
    a.found = END;
  return a;
}

static answer look_line(halo_reader *r, const char *p, size_t size) {
  const char *nl = size > r->scanned
                       ? memchr(p + r->scanned, '\n', size - r->scanned)
                       : NULL;
  if (nl != NULL) {
    size_t line = (size_t)(nl - p);
    if (line > 0 && p[line - 1] == '\r') line--;
    if (line > r->size) return (answer){TOO_LARGE, 0, 0};
    return (answer){BYTES, line, (size_t)(nl - p) + 1};
  }
  r->scanned = size;
  /* A last "\r" may be half of the line's end. */
  if (size > r->size &&
      (r->status != 0 || size - r->size > 1 || p[size - 1] != '\r'))
    return (answer){TOO_LARGE, 0, 0};
  return look_end(r, size);
}

static answer look_until(halo_reader *r, const char *p, size_t size) {
  const char *at = size > r->scanned ? memmem(p + r->scanned, size - r->scanned,
                                              r->sep, r->sep_size)
                                     : NULL;
  if (at != NULL) {
    size_t before = (size_t)(at - p);
    if (before > r->size) return (answer){TOO_LARGE, 0, 0};
    return (answer){BYTES, before, before + r->sep_size};
  }
  r->scanned = size < r->sep_size ? 0 : size - r->sep_size + 1;
  if (r->status != 0 ? size > r->size : r->scanned > r->size)
    return (answer){TOO_LARGE, 0, 0};
  return look_end(r, size);
}

/* What the bytes at 'p' come to for the read that 'r' is set to. */
static answer look(halo_reader *r, const char *p, size_t size) {
  switch ((enum halo_reader_mode)r->mode) {
  case HALO_READ_ANY:
    if (size == 0) return look_end(r, 0);
    if (size > r->size) size = r->size;
    return (answer){BYTES, size, size};
  case HALO_READ_EXACTLY:
    if (size < r->size) return look_end(r, size);
    return (answer){BYTES, r->size, r->size};
  case HALO_READ_LINE:
    return look_line(r, p, size);
  case HALO_READ_UNTIL:
    return look_until(r, p, size);
  case HALO_READ_ALL:
    if (size > r->size) return (answer){TOO_LARGE, 0, 0};
    return look_end(r, size);
  }
  return (answer){NOTHING, 0, 0};
}

/* --- The bytes that are held ---------------------------------------------- */

static const char *bytes(const halo_reader *r) {
  return r->data != NULL ? r->data + r->start : "";
}

static void release(halo_reader *r) {
  free(r->data);
  r->data = NULL;
  r->start = r->end = r->capacity = 0;
}

static void consume(halo_reader *r, size_t size) {
  if (size > halo_reader_held(r)) return; /* closed meanwhile */
  r->start += size;
  r->scanned = 0;
  if (r->start == r->end && r->data != NULL) release(r);
}

/* False: no memory. */
static bool append(halo_reader *r, const char *p, size_t size) {
  size_t held = halo_reader_held(r);
  if (size == 0) return true;
  if (r->capacity - r->end < size) {
    if (r->start >= r->capacity / 2 && r->capacity - held >= size) {
      memmove(r->data, r->data + r->start, held);
    } else {
      size_t capacity = r->capacity == 0 ? 256 : 2 * r->capacity;
      while (capacity < held + size) capacity *= 2;
      char *data = malloc(capacity);
      if (data == NULL) return false;
      if (held > 0) memcpy(data, r->data + r->start, held);
      free(r->data);
      r->data = data;
      r->capacity = capacity;
    }
    r->start = 0;
    r->end = held;
  }
  memcpy(r->data + r->end, p, size);
  r->end += size;
  return true;
}

/* Stops the source when more is held than anybody asked for. */
static void hold_back(halo_reader *r) {
  if (!r->on || halo_reader_is_waiting(r) || r->status != 0 ||
      halo_reader_held(r) < HALO_READER_HIGH)
    return;
  r->on = false;
  r->want(r, false);
}

/* Starts it again if it was stopped and there is room. */
static void go_on(halo_reader *r) {
  if (!r->asked || r->on || r->closed || r->status != 0 ||
      halo_reader_held(r) > HALO_READER_LOW)
    return;
  r->on = true;
  r->want(r, true);
}

/* --- Answering ------------------------------------------------------------ */

/* Pushes what the reader ended with.                          [-0, +1, m] */
static void push_end(lua_State *L, const halo_reader *r) {
  if (r->code != NULL)
    halo_error_push(L, r->code, "%s",
                    r->message != NULL ? r->message : r->code);
  else
    halo_error_uv(L, r->status, "read", NULL);
}

static void push_too_large(lua_State *L, const halo_reader *r) {
  lua_Integer limit = (lua_Integer)r->size;
  if (r->mode == HALO_READ_LINE)
    halo_error_push(L, "ERR_TOO_LARGE", "line longer than %I bytes", limit);
  else if (r->mode == HALO_READ_UNTIL)
    halo_error_push(L, "ERR_TOO_LARGE", "no separator within %I bytes", limit);
  else
    halo_error_push(L, "ERR_TOO_LARGE", "more than %I bytes", limit);
}

/* Pushes the answer found in the bytes at 'p'; gives how many values: 1, or
 * 2 for nil, err.                                              [-0, +n, m] */
static int push_answer(lua_State *L, const halo_reader *r, answer a,
                       const char *p) {
  switch (a.found) {
  case NOTHING:
    return 0;
  case BYTES:
    lua_pushlstring(L, a.give > 0 ? p : "", a.give);
    return 1;
  case END:
    lua_pushnil(L);
    return 1;
  case CUT:
    lua_pushnil(L);
    halo_error_push(L, "ERR_EOF", "end after %I of %I bytes",
                    (lua_Integer)a.give, (lua_Integer)r->size);
    lua_pushlstring(L, p, a.give);
    lua_setfield(L, -2, "partial");
    break;
  case BROKEN:
    lua_pushnil(L);
    push_end(L, r);
    break;
  case TOO_LARGE:
    lua_pushnil(L);
    push_too_large(L, r);
    break;
  }
  if (r->stage != NULL) {
    lua_pushstring(L, r->stage);
    lua_setfield(L, -2, "stage");
  }
  return 2;
}

typedef struct settlement {
  const halo_reader *reader;
  answer answer;
  const char *p;
  int status;
} settlement;

static int push_settlement(lua_State *L) {
  settlement *s = lua_touserdata(L, 1);
  return push_answer(L, s->reader, s->answer, s->p);
}

static int push_status(lua_State *L) {
  settlement *s = lua_touserdata(L, 1);
  return halo_fail(L, s->status, "read", NULL);
}

static void drop_sep(halo_reader *r) {
  if (r->sep_owned) free((char *)r->sep);
  r->sep_owned = false;
  r->sep = NULL;
}

/* Wakes the waiting task with what 'push' leaves. */
static void wake(halo_reader *r, lua_CFunction push, settlement *s) {
  if (halo_closing(r->rt)) return;
  int n = halo_protect(r->rt, push, s);
  bool raises = r->raises && n == 2; /* nil, err */
  drop_sep(r);
  if (r->waiting != NULL) r->waiting(r, false);
  if (!raises) {
    halo_wait_finish(r->rt, &r->wait, n);
  } else {
    lua_remove(halo_scratch(r->rt), -2);
    halo_wait_fail(r->rt, &r->wait);
  }
}

/* Answers the wait under way out of the bytes at 'p', if they do; gives how
 * many of them are used up. */
static size_t settle(halo_reader *r, const char *p, size_t size) {
  settlement s = {r, look(r, p, size), p, 0};
  if (s.answer.found == NOTHING) return 0;
  wake(r, push_settlement, &s);
  r->scanned = 0;
  return s.answer.take;
}

/* --- The owner's side ----------------------------------------------------- */

/* A cancelled read: what is held and what comes stays readable. */
static void cancel_read(halo_wait *w) {
  halo_reader *r = (halo_reader *)w;
  drop_sep(r);
  if (r->waiting != NULL) r->waiting(r, false);
  hold_back(r);
}

void halo_reader_init(halo_reader *r, halo_runtime *rt,
                      void (*want)(halo_reader *r, bool on)) {
  memset(r, 0, sizeof *r);
  r->rt = rt;
  r->want = want;
  r->wait.cancel = cancel_read;
  r->wait.what = "read";
}

void halo_reader_feed(halo_reader *r, const char *data, size_t size) {
  if (r->closed || r->status != 0 || size == 0) return;
  if (halo_reader_is_waiting(r) && r->data == NULL) {
    size_t used = settle(r, data, size);
    if (r->closed) return; /* by a finalizer, meanwhile */
    data += used;
    size -= used;
    if (!append(r, data, size)) halo_reader_end(r, UV_ENOMEM);
  } else {
    if (!append(r, data, size)) {
      halo_reader_end(r, UV_ENOMEM);
      return;
    }
    if (halo_reader_is_waiting(r))
      consume(r, settle(r, bytes(r), halo_reader_held(r)));
  }
  hold_back(r);
}

/* The source has stopped by itself: 'want' need not tell it. */
static void end_reading(halo_reader *r) {
  r->on = false;
  if (halo_reader_is_waiting(r)) {
    r->scanned = 0;
    consume(r, settle(r, bytes(r), halo_reader_held(r)));
  }
}

void halo_reader_end(halo_reader *r, int status) {
  if (r->closed || r->status != 0) return;
  r->status = status == 0 ? UV_EOF : status;
  end_reading(r);
}

void halo_reader_end_code(halo_reader *r, const char *code,
                          const char *message) {
  if (r->closed || r->status != 0) return;
  r->status = UV_EPROTO;
  r->code = code;
  r->message = strdup(message);
  end_reading(r);
}

void halo_reader_wake(halo_reader *r, int status) {
  settlement s = {.reader = r, .status = status};
  if (halo_reader_is_waiting(r)) wake(r, push_status, &s);
  hold_back(r);
}

void halo_reader_close(halo_reader *r) {
  if (r->closed) return;
  r->closed = true;
  if (halo_reader_is_waiting(r)) halo_reader_wake(r, UV_ECANCELED);
  drop_sep(r);
  release(r);
  free(r->message);
  r->message = NULL;
}

char *halo_reader_take(halo_reader *r, size_t *size) {
  char *data = r->data;
  *size = halo_reader_held(r);
  if (r->start > 0) memmove(data, data + r->start, *size);
  r->data = NULL;
  release(r);
  return data;
}

/* --- The task's side ------------------------------------------------------ */

static int read_start(lua_State *L, halo_reader *r, enum halo_reader_mode mode,
                      size_t size, const char *sep, size_t sep_size,
                      bool raises) {
  HALO_WAITS(L);
  if (r == NULL || r->closed || halo_reader_is_waiting(r)) {
    halo_fail(L, r == NULL || r->closed ? UV_EBADF : UV_EBUSY, "read", NULL);
    return raises ? lua_error(L) : 2;
  }
  r->mode = (uint8_t)mode;
  r->size = size;
  r->sep = sep;
  r->sep_size = sep_size;
  r->scanned = 0;
  r->raises = raises;
  const char *p = bytes(r);
  answer a = look(r, p, halo_reader_held(r));
  if (a.found == NOTHING && !r->on) {
    r->on = r->asked = true;
    r->want(r, true); /* which may bring some, or end it */
    p = bytes(r);
    a = look(r, p, halo_reader_held(r));
  }
  if (a.found == NOTHING) {
    if (sep != NULL) { /* Lua's copy may go while the task waits */
      char *copy = malloc(sep_size);
      if (copy == NULL) return luaL_error(L, "not enough memory");
      r->sep = memcpy(copy, sep, sep_size);
      r->sep_owned = true;
    }
    if (r->waiting != NULL) r->waiting(r, true);
    return halo_wait_start(L, &r->wait);
  }
  int n = push_answer(L, r, a, p);
  consume(r, a.take);
  go_on(r);
  if (raises && n == 2) return lua_error(L);
  return halo_wait_at_once(r->rt) ? n : halo_wait_turn(L, n);
}

int halo_reader_read(lua_State *L, halo_reader *r, enum halo_reader_mode mode,
                     size_t size, const char *sep, size_t sep_size) {
  return read_start(L, r, mode, size, sep, sep_size, false);
}

static halo_reader *check_reader(lua_State *L, int index) {
  halo_readable *o = halo_object_check(L, index, &halo_readable_class);
  return o->reader;
}

/* The size at 'index', at least 'least'; nil gives 'otherwise'. */
static size_t check_size(lua_State *L, int index, lua_Integer least,
                         size_t otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  lua_Integer n = luaL_checkinteger(L, index);
  luaL_argcheck(L, n >= least, index,
                least > 0 ? "must be positive" : "must not be negative");
  return (size_t)n;
}

/* s:read([n]) -> data | nil | nil, err                              (waits) */
static int readable_read(lua_State *L) {
  halo_reader *r = check_reader(L, 1);
  size_t n = check_size(L, 2, 1, SIZE_MAX);
  return read_start(L, r, HALO_READ_ANY, n, NULL, 0, false);
}

/* s:read_exactly(n) -> data | nil | nil, err                        (waits) */
static int readable_read_exactly(lua_State *L) {
  halo_reader *r = check_reader(L, 1);
  luaL_checkinteger(L, 2);
  size_t n = check_size(L, 2, 0, 0);
  return read_start(L, r, HALO_READ_EXACTLY, n, NULL, 0, false);
}

/* s:read_line([max]) -> line | nil | nil, err                       (waits) */
static int readable_read_line(lua_State *L) {
  halo_reader *r = check_reader(L, 1);
  size_t max = check_size(L, 2, 0, HALO_READER_LINE);
  return read_start(L, r, HALO_READ_LINE, max, NULL, 0, false);
}

/* s:read_until(sep, [max]) -> data | nil | nil, err                 (waits) */
static int readable_read_until(lua_State *L) {
  halo_reader *r = check_reader(L, 1);
  size_t sep_size;
  const char *sep = luaL_checklstring(L, 2, &sep_size);
  luaL_argcheck(L, sep_size > 0, 2, "must not be empty");
  size_t max = check_size(L, 3, 0, HALO_READER_LINE);
  return read_start(L, r, HALO_READ_UNTIL, max, sep, sep_size, false);
}

/* s:read_all([max]) -> data | nil, err                              (waits) */
static int readable_read_all(lua_State *L) {
  halo_reader *r = check_reader(L, 1);
  size_t max = check_size(L, 2, 0, HALO_READER_ALL);
  return read_start(L, r, HALO_READ_ALL, max, NULL, 0, false);
}

/* --- Iterators ------------------------------------------------------------ */

/* Both the function that a 'for' calls and the value that it closes. The
 * stream is its user value. */
typedef struct iterator {
  const halo_class *class;
  enum halo_reader_mode mode;
  size_t size;
} iterator;

static halo_readable *iterator_readable(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  halo_readable *o = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return o;
}

/* iterator() -> data | nil; raises what read would return           (waits) */
static int iterator_call(lua_State *L) {
  iterator *it = lua_touserdata(L, 1);
  halo_reader *r = iterator_readable(L, 1)->reader;
  return read_start(L, r, it->mode, it->size, NULL, 0, true);
}

static int iterator_closed(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

/* Leaving the loop before the end closes the stream; at the end its other
 * direction may well go on.                                         (waits) */
static int iterator_close(lua_State *L) {
  halo_reader *r = iterator_readable(L, 1)->reader;
  if (r == NULL || r->closed ||
      (r->status == UV_EOF && halo_reader_held(r) == 0))
    return 0;
  lua_getiuservalue(L, 1, 1);
  lua_getfield(L, -1, "close");
  lua_insert(L, -2);
  lua_callk(L, 1, 0, 0, iterator_closed);
  return 0;
}

static const luaL_Reg iterator_meta[] = {
    {"__call", iterator_call}, {"__close", iterator_close}, {NULL, NULL}};

static const halo_class iterator_class = {"halo.stream.Iterator", NULL, NULL,
                                          iterator_meta};

static int push_iterator(lua_State *L, enum halo_reader_mode mode,
                         size_t size) {
  iterator *it = halo_object_new(L, &iterator_class, sizeof *it, 1);
  it->mode = mode;
  it->size = size;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

/* for chunk in s:chunks([n]) do … end */
static int readable_chunks(lua_State *L) {
  check_reader(L, 1);
  return push_iterator(L, HALO_READ_ANY, check_size(L, 2, 1, SIZE_MAX));
}

/* for line in s:lines([max]) do … end */
static int readable_lines(lua_State *L) {
  check_reader(L, 1);
  return push_iterator(L, HALO_READ_LINE,
                       check_size(L, 2, 0, HALO_READER_LINE));
}

static const luaL_Reg readable_methods[] = {
    {"chunks", readable_chunks},
    {"lines", readable_lines},
    {"read", readable_read},
    {"read_all", readable_read_all},
    {"read_exactly", readable_read_exactly},
    {"read_line", readable_read_line},
    {"read_until", readable_read_until},
    {NULL, NULL}};

const halo_class halo_readable_class = {"halo.stream.Readable", NULL,
                                        readable_methods, NULL};

void halo_reader_register(lua_State *L) {
  halo_class_register(L, &halo_readable_class);
  halo_class_register(L, &iterator_class);
}
