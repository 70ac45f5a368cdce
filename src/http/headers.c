/* Header lines as Lua sees them: a userdata over raw bytes. A request's are
 * searched when they are asked for; a response's are written as they will
 * leave. Names compare without regard to case. */
#include <ctype.h>
#include <string.h>

#include "http/http.h"

typedef struct headers {
  const halo_class *class;
  const char *lines; /* of a request, or of trailers */
  size_t size;
  http_response *response; /* NULL: they are a request's */
  char copy[];
} headers;

static const halo_class headers_class;

void http_headers_push(lua_State *L, const char *lines, size_t size,
                       int index) {
  size_t extra = index == 0 ? size : 0;
  if (index != 0) index = lua_absindex(L, index);
  headers *h = halo_object_new(L, &headers_class, sizeof *h + extra, 1);
  h->lines = lines;
  h->size = size;
  if (index == 0) {
    if (size > 0) memcpy(h->copy, lines, size);
    h->lines = h->copy;
    return;
  }
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
}

void http_headers_push_response(lua_State *L, int index) {
  index = lua_absindex(L, index);
  headers *h = halo_object_new(L, &headers_class, sizeof *h, 1);
  h->response = lua_touserdata(L, index);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
}

/* --- Reading -------------------------------------------------------------- */

typedef struct line {
  const char *name, *value, *next;
  size_t name_size, value_size;
} line;

/* The line at 'p'; the bytes have passed the guard, or are ours. */
static bool next_line(const char *p, const char *end, line *l) {
  if (p >= end) return false;
  const char *nl = memchr(p, '\n', (size_t)(end - p));
  const char *colon = memchr(p, ':', (size_t)(end - p));
  if (nl == NULL || colon == NULL || colon > nl) return false;
  const char *value = colon + 1, *last = nl - 1; /* the CR */
  while (value < last && (*value == ' ' || *value == '\t')) value++;
  while (last > value && (last[-1] == ' ' || last[-1] == '\t')) last--;
  *l = (line){p, value, nl + 1, (size_t)(colon - p), (size_t)(last - value)};
  return true;
}

static bool is_named(const line *l, const char *name, size_t size) {
  if (l->name_size != size) return false;
  for (size_t i = 0; i < size; i++)
    if (tolower((unsigned char)l->name[i]) != tolower((unsigned char)name[i]))
      return false;
  return true;
}

static void bounds(const headers *h, const char **p, const char **end) {
  *p = h->lines;
  *end = h->lines + h->size;
  if (h->response == NULL) return;
  const http_exchange *x = h->response->exchange;
  *p = x != NULL && x->fields.data != NULL ? x->fields.data : "";
  *end = *p + (x != NULL ? x->fields.size : 0);
}

/* The line that begins 'at' bytes from the start. Asked for anew after each
 * allocation: a finalizer may have set headers of the same response. */
static bool line_at(const headers *h, size_t at, line *l, size_t *next) {
  const char *p, *end;
  bounds(h, &p, &end);
  if (at > (size_t)(end - p) || !next_line(p + at, end, l)) return false;
  *next = (size_t)(l->next - p);
  return true;
}

/* Of these only the first counts; a list of them would make no sense. */
static bool is_single(const char *name, size_t size) {
  static const char *const names[] = {"age",
                                      "authorization",
                                      "content-length",
                                      "content-type",
                                      "date",
                                      "etag",
                                      "expires",
                                      "from",
                                      "host",
                                      "if-modified-since",
                                      "if-unmodified-since",
                                      "last-modified",
                                      "location",
                                      "max-forwards",
                                      "proxy-authorization",
                                      "referer",
                                      "retry-after",
                                      "server",
                                      "user-agent",
                                      NULL};
  line l = {.name = name, .name_size = size};
  for (int i = 0; names[i] != NULL; i++)
    if (is_named(&l, names[i], strlen(names[i]))) return true;
  return false;
}

/* Pushes the value; of several lines, all of them with commas between.
 *                                                          [-0, +1, m] */
static void push_value(lua_State *L, const headers *h, const char *name,
                       size_t size) {
  line l;
  int n = 0;
  for (size_t at = 0, next; line_at(h, at, &l, &next); at = next) {
    if (!is_named(&l, name, size)) continue;
    if (n == 1 && is_single(name, size)) return;
    lua_pushlstring(L, l.value, l.value_size);
    if (n++ == 0) continue;
    lua_pushstring(L, size == 6 && tolower(*name) == 'c' ? "; " : ", ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
  if (n == 0) lua_pushnil(L);
}

static headers *check_headers(lua_State *L) {
  return halo_object_check(L, 1, &headers_class);
}

/* headers:all(name) -> list of values, in order */
static int headers_all(lua_State *L) {
  const headers *h = check_headers(L);
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  lua_Integer n = 0;
  line l;
  lua_newtable(L);
  for (size_t at = 0, next; line_at(h, at, &l, &next); at = next) {
    if (!is_named(&l, name, size)) continue;
    lua_pushlstring(L, l.value, l.value_size);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* Pushes the name in lower case: of a request, as who looks at it expects;
 * ours are as they were set.                                 [-0, +1, m] */
static void push_name(lua_State *L, const headers *h, const line *l) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, l->name_size);
  for (size_t i = 0; i < l->name_size; i++)
    out[i] = h->response != NULL ? l->name[i]
                                 : (char)tolower((unsigned char)l->name[i]);
  luaL_pushresultsize(&b, l->name_size);
}

/* Upvalues: runtime, headers, where the next line begins. */
static int headers_next(lua_State *L) {
  const headers *h = lua_touserdata(L, lua_upvalueindex(2));
  line l;
  size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(3)), next;
  if (!line_at(h, at, &l, &next)) return 0;
  lua_pushinteger(L, (lua_Integer)next);
  lua_replace(L, lua_upvalueindex(3));
  lua_pushlstring(L, l.value, l.value_size);
  if (!line_at(h, at, &l, &next)) return 0;
  push_name(L, h, &l);
  lua_insert(L, -2);
  return 2;
}

/* for name, value in pairs(headers) do … end: a line each time */
static int headers_pairs(lua_State *L) {
  check_headers(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, headers_next, 3);
  return 1;
}

/* headers[name] -> value | nil; or a method */
static int headers_index(lua_State *L) {
  const headers *h = check_headers(L);
  size_t size;
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  const char *name = lua_tolstring(L, 2, &size);
  push_value(L, h, name, size);
  return 1;
}

/* --- Writing -------------------------------------------------------------- */

/* Notes what the head needs to know of a header that is set or removed. */
static void note(lua_State *L, http_exchange *x, const line *l, bool set,
                 int index) {
  switch (l->name_size) {
  case 4:
    if (is_named(l, "date", 4)) x->has_date = set;
    break;
  case 10:
    if (!is_named(l, "connection", 10)) break;
    x->has_connection = set;
    if (set && l->value_size == 5 && halo_http_same(l->value, "close", 5))
      x->keep = false;
    break;
  case 12:
    if (is_named(l, "content-type", 12)) x->has_type = set;
    break;
  case 14:
    if (!is_named(l, "content-length", 14)) break;
    if (set && x->has_length)
      luaL_argerror(L, index, "more than one Content-Length");
    if (set && !halo_http_parse_length(l->value, l->value_size, &x->promised))
      luaL_argerror(L, index, "malformed Content-Length");
    x->has_length = set;
    break;
  case 17:
    if (set && is_named(l, "transfer-encoding", 17))
      luaL_argerror(L, index, "Transfer-Encoding cannot be set");
    break;
  }
}

static void remove_lines(lua_State *L, http_exchange *x, const char *name,
                         size_t size) {
  line l;
  size_t at = 0;
  http_buffer *b = &x->fields;
  if (b->size == 0) return;
  while (next_line(b->data + at, b->data + b->size, &l)) {
    size_t next = (size_t)(l.next - b->data);
    if (!is_named(&l, name, size)) {
      at = next;
      continue;
    }
    note(L, x, &l, false, 0);
    memmove(b->data + at, b->data + next, b->size - next);
    b->size -= next - at;
  }
}

static void add_line(lua_State *L, http_exchange *x, int name, int index) {
  line l = {NULL, NULL, NULL, 0, 0};
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_error(L, "a header's value must be a string, number or list, got %s",
               luaL_typename(L, index));
  l.name = lua_tolstring(L, name, &l.name_size);
  lua_pushvalue(L, index); /* tolstring would change a number in place */
  l.value = lua_tolstring(L, -1, &l.value_size);
  if (!halo_http_is_value(l.value, l.value_size))
    luaL_error(L, "control character in the value of header '%s'", l.name);
  note(L, x, &l, true, index);
  if (!http_reserve(&x->fields, l.name_size + l.value_size + 4))
    luaL_error(L, "not enough memory");
  http_append(&x->fields, l.name, l.name_size);
  http_append_literal(&x->fields, ": ");
  http_append(&x->fields, l.value, l.value_size);
  http_append_literal(&x->fields, "\r\n");
  lua_pop(L, 1);
}

void http_header_set(lua_State *L, http_exchange *x, int name, int index,
                     bool add) {
  size_t size;
  if (lua_type(L, name) != LUA_TSTRING)
    luaL_error(L, "a header's name must be a string, got %s",
               luaL_typename(L, name));
  const char *text = lua_tolstring(L, name, &size);
  if (!halo_http_is_token(text, size))
    luaL_error(L, "'%s' cannot be a header's name", text);
  if (!add) remove_lines(L, x, text, size);
  if (lua_isnil(L, index)) return;
  if (!lua_istable(L, index)) {
    add_line(L, x, name, index);
    return;
  }
  lua_Integer n = luaL_len(L, index);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, index, i);
    add_line(L, x, name, lua_gettop(L));
    lua_pop(L, 1);
  }
}

void http_headers_assign(lua_State *L, http_exchange *x, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  x->fields.size = 0;
  x->has_length = x->has_type = x->has_date = x->has_connection = false;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int top = lua_gettop(L);
    http_header_set(L, x, top - 1, top, false);
    lua_settop(L, top - 1);
  }
}

/* The exchange whose headers may still be set. */
static http_exchange *check_open(lua_State *L) {
  const headers *h = check_headers(L);
  if (h->response == NULL) luaL_error(L, "a request's headers cannot be set");
  http_exchange *x = h->response->exchange;
  if (x == NULL || (x->begun && !x->refused))
    luaL_error(L, "the headers have been sent already");
  return x;
}

/* headers[name] = value | list | nil */
static int headers_newindex(lua_State *L) {
  http_exchange *x = check_open(L);
  lua_settop(L, 3);
  http_header_set(L, x, 2, 3, false);
  return 0;
}

/* headers:add(name, value): one more of that name */
static int headers_add(lua_State *L) {
  http_exchange *x = check_open(L);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  http_header_set(L, x, 2, 3, true);
  return 0;
}

static const luaL_Reg headers_methods[] = {
    {"add", headers_add}, {"all", headers_all}, {NULL, NULL}};
static const luaL_Reg headers_meta[] = {
    {"__newindex", headers_newindex}, {"__pairs", headers_pairs}, {NULL, NULL}};
static const halo_class headers_class = {"halo.http.Headers", NULL,
                                         headers_methods, headers_meta};

void http_headers_register(lua_State *L) {
  halo_class_register(L, &headers_class);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &headers_class);
  halo_runtime_open(L);
  lua_getfield(L, -2, "__index");
  lua_pushcclosure(L, headers_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
