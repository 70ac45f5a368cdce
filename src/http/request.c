/* What Lua sees of a request. Nothing is made of it until it is asked for:
 * the userdata holds the bytes of the head and says where its parts are. */
#include <string.h>

#include "http/http.h"

enum { UV_HEADERS = 1, UV_EXTRA = 2 };

/* --- Starting a handler --------------------------------------------------- */

static http_request *new_request(lua_State *L, http_exchange *x) {
  const halo_http_head *h = &x->head;
  http_request *r = lua_newuserdatauv(L, sizeof *r + h->size, 2);
  *r = (http_request){.readable = {.class = &http_request_class},
                      .exchange = x,
                      .size = h->size,
                      .max_body = x->max_body,
                      .method = h->method,
                      .target = h->target,
                      .path = h->path,
                      .query = h->query,
                      .fields = h->fields,
                      .minor = h->minor,
                      .has_query = h->has_query};
  r->readable.reader = x->has_reader ? &x->reader : &x->state->empty;
  memcpy(r->raw, x->raw, h->size);
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_setmetatable(L, -2);
  return r;
}

static http_response *new_response(lua_State *L, http_exchange *x) {
  http_response *r = lua_newuserdatauv(L, sizeof *r, 2);
  *r = (http_response){
      .class = &http_response_class, .exchange = x, .status = 200};
  lua_pushvalue(L, lua_upvalueindex(4));
  lua_setmetatable(L, -2);
  return r;
}

static int handled(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

int http_dispatch(lua_State *L) {
  http_exchange *x = lua_touserdata(L, 1);
  halo_runtime *rt = halo_rt(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  http_request *request = new_request(L, x);
  http_response *response = new_response(L, x);
  lua_pushvalue(L, -2); /* one keeps the other */
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_xmove(L, halo_scratch(rt), 1);
  x->slot = halo_anchor(halo_scratch(rt), rt);
  x->request = request;
  x->response = response;
  x->raw = NULL;
  lua_callk(L, 2, 0, 0, handled);
  return 0;
}

/* --- Fields --------------------------------------------------------------- */

enum field {
  METHOD = 1,
  TARGET,
  PATH,
  QUERY_STRING,
  HEADERS,
  VERSION,
  REMOTE_ADDRESS
};

static const struct {
  const char *name;
  enum field field;
} fields[] = {{"method", METHOD},
              {"target", TARGET},
              {"path", PATH},
              {"query_string", QUERY_STRING},
              {"headers", HEADERS},
              {"version", VERSION},
              {"remote_address", REMOTE_ADDRESS}};

static http_request *check_request(lua_State *L) {
  http_request *r = lua_touserdata(L, 1);
  if (r != NULL && lua_type(L, 1) == LUA_TUSERDATA &&
      lua_rawlen(L, 1) >= sizeof *r && r->readable.class == &http_request_class)
    return r;
  return halo_object_check(L, 1, &http_request_class);
}

static int push_span(lua_State *L, const http_request *r, halo_http_span s) {
  lua_pushlstring(L, r->raw + s.at, s.size);
  return 1;
}

static int push_headers(lua_State *L, const http_request *r) {
  if (lua_getiuservalue(L, 1, UV_HEADERS) != LUA_TNIL) return 1;
  http_headers_push(L, r->raw + r->fields.at, r->fields.size, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, UV_HEADERS);
  return 1;
}

/* Asked of the system when it is wanted; nil once the connection is gone. */
static int push_remote_address(lua_State *L, const http_request *r) {
  http_connection *c = r->exchange != NULL ? r->exchange->connection : NULL;
  if (c == NULL) return 0;
  return c->stream->ops->remote_address(c->stream, L) == 1;
}

static int push_field(lua_State *L, http_request *r, enum field field) {
  switch (field) {
  case METHOD:
    return push_span(L, r, r->method);
  case TARGET:
    return push_span(L, r, r->target);
  case PATH:
    if (r->path.size > 0) return push_span(L, r, r->path);
    lua_pushliteral(L, "/");
    return 1;
  case QUERY_STRING:
    return r->has_query ? push_span(L, r, r->query) : 0;
  case HEADERS:
    return push_headers(L, r);
  case VERSION:
    lua_pushstring(L, r->minor > 0 ? "1.1" : "1.0");
    return 1;
  case REMOTE_ADDRESS:
    return push_remote_address(L, r);
  }
  return 0;
}

/* The table of what was set by the user, or got by a getter. True: there is
 * one, and it is on top.                                  [-0, +(0|1), m] */
static bool push_extra(lua_State *L, bool make) {
  if (lua_getiuservalue(L, 1, UV_EXTRA) == LUA_TTABLE) return true;
  lua_pop(L, 1);
  if (!make) return false;
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, UV_EXTRA);
  return true;
}

/* A field that Lua knows how to make: asked once. Stack: request, name. */
static int push_made(lua_State *L) {
  if (push_extra(L, false)) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;
    lua_settop(L, 2);
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(3)) == LUA_TNIL) return 0;
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  push_extra(L, true);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  lua_settop(L, 3);
  return 1;
}

/* req[name]. Upvalues: runtime, methods and fields, getters. */
static int request_index(lua_State *L) {
  http_request *r = check_request(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(2));
  if (type == LUA_TNUMBER)
    return push_field(L, r, (enum field)lua_tointeger(L, 3));
  if (type != LUA_TNIL) return 1;
  lua_settop(L, 2);
  return push_made(L);
}

/* req[name] = value: a user's own field, for what comes after */
static int request_newindex(lua_State *L) {
  check_request(L);
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  if (lua_isnil(L, 2) || lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
    return luaL_error(L, "a request's field '%s' cannot be set",
                      luaL_tolstring(L, 2, NULL));
  lua_settop(L, 3);
  push_extra(L, true);
  lua_insert(L, 2);
  lua_rawset(L, 2);
  return 0;
}

static int request_tostring(lua_State *L) {
  http_request *r = check_request(L);
  lua_pushfstring(L, "halo.http.Request: ");
  push_span(L, r, r->method);
  lua_pushliteral(L, " ");
  push_span(L, r, r->target);
  lua_concat(L, 4);
  return 1;
}

/* --- The body ------------------------------------------------------------- */

/* req:text([max]) -> string | nil, err                              (waits) */
static int request_text(lua_State *L) {
  http_request *r = check_request(L);
  lua_Integer max = luaL_optinteger(L, 2, (lua_Integer)r->max_body);
  luaL_argcheck(L, max >= 0, 2, "must not be negative");
  const http_exchange *x = r->exchange;
  uint64_t to_come = x != NULL && x->has_reader && r->readable.reader != NULL
                         ? x->left + halo_reader_held(&x->reader)
                         : 0;
  if (to_come > (uint64_t)max)
    return halo_fail_code(L, "ERR_TOO_LARGE",
                          "request body of %I bytes, more than %I",
                          (lua_Integer)to_come, max);
  return halo_reader_read(L, r->readable.reader, HALO_READ_ALL, (size_t)max,
                          NULL, 0);
}

/* The trailers of a chunked body that has ended; req:trailers waits for it. */
static int request_trailers(lua_State *L) {
  http_request *r = check_request(L);
  const http_exchange *x = r->exchange;
  if (x == NULL || x->chunks.trailers == NULL)
    http_headers_push(L, "", 0, 0);
  else
    http_headers_push(L, x->chunks.trailers, x->chunks.trailers_size, 0);
  return 1;
}

/* req:close() -> true: the rest of the body is not wanted */
static int request_close(lua_State *L) {
  http_request *r = check_request(L);
  http_exchange *x = r->exchange;
  if (x != NULL && !x->complete && !x->unwanted) {
    x->unwanted = true;
    halo_reader_close(&x->reader);
    if (x->connection != NULL) http_resume(x->connection);
  }
  r->readable.reader = NULL;
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg request_methods[] = {{"close", request_close},
                                           {"text", request_text},
                                           {"_trailers", request_trailers},
                                           {NULL, NULL}};
static const luaL_Reg request_meta[] = {
    {"__close", request_close}, {"__tostring", request_tostring}, {NULL, NULL}};
const halo_class http_request_class = {
    "halo.http.Request", &halo_readable_class, request_methods, request_meta};

void http_request_register(lua_State *L) {
  halo_class_register(L, &http_request_class);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &http_request_class);
  lua_getfield(L, -1, "__index"); /* metatable, methods */
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, fields[i].field);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_newtable(L); /* metatable, methods, getters */
  halo_runtime_open(L);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, request_index, 3);
  lua_setfield(L, -4, "__index");
  halo_runtime_open(L);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, request_newindex, 2);
  lua_setfield(L, -4, "__newindex");
  lua_remove(L, -3);
}

/* --- Queries and forms ---------------------------------------------------- */

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pushes the text with its escapes undone: "+" is a blank, "%41" an "A"; what
 * is no escape stays as it is.                               [-0, +1, m] */
static void push_unescaped(lua_State *L, const char *p, size_t size) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, size);
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    int high, low;
    if (p[i] == '%' && size - i > 2 && (high = hex(p[i + 1])) >= 0 &&
        (low = hex(p[i + 2])) >= 0) {
      out[n++] = (char)(high * 16 + low);
      i += 2;
    } else {
      out[n++] = p[i] == '+' ? ' ' : p[i];
    }
  }
  luaL_pushresultsize(&b, n);
}

/* core.http.parse_query(s, [max]) -> {name, value, …} | nil: more than max */
int http_parse_query(lua_State *L) {
  size_t size;
  const char *p = luaL_optlstring(L, 1, "", &size), *end = p + size;
  lua_Integer max = luaL_optinteger(L, 2, LUA_MAXINTEGER), n = 0;
  if (lua_isnoneornil(L, 1)) end = p;
  lua_newtable(L);
  while (p < end) {
    const char *amp = memchr(p, '&', (size_t)(end - p));
    if (amp == NULL) amp = end;
    if (amp > p) {
      const char *eq = memchr(p, '=', (size_t)(amp - p));
      if (n >= max) return 0;
      push_unescaped(L, p, (size_t)((eq != NULL ? eq : amp) - p));
      lua_rawseti(L, -2, 2 * n + 1);
      if (eq == NULL) eq = amp - 1; /* no value: an empty one */
      push_unescaped(L, eq + 1, (size_t)(amp - eq - 1));
      lua_rawseti(L, -2, 2 * ++n);
    }
    p = amp + 1;
  }
  return 1;
}
