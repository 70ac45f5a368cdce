/* What Lua sees of a response. */
#include <string.h>

#include "http/http.h"

enum { UV_HEADERS = 2 };

static const char json_key = 0; /* in the registry: table -> JSON */

static http_response *check_response(lua_State *L) {
  http_response *r = lua_touserdata(L, 1);
  if (r != NULL && lua_type(L, 1) == LUA_TUSERDATA &&
      lua_rawlen(L, 1) >= sizeof *r && r->class == &http_response_class)
    return r;
  return halo_object_check(L, 1, &http_response_class);
}

/* 0, or why nothing more can be written. */
static int state_of(const http_response *r) {
  const http_exchange *x = r->exchange;
  if (x == NULL) return r->broken;
  if (x->answered) return UV_EPIPE;
  return x->connection == NULL ? x->status : 0;
}

static int fail(lua_State *L, int rc) {
  return halo_fail(L, rc, "write", NULL);
}

static int succeed(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

/* Whether what is written will be left out. */
static bool is_bodiless(const http_response *r) {
  const http_exchange *x = r->exchange;
  return x->parser.method == HTTP_HEAD || r->status == 204 || r->status == 304;
}

/* --- All at once ---------------------------------------------------------- */

/* Puts the JSON of the table at 'index' in its place. */
static void encode(lua_State *L, int index) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &json_key) != LUA_TFUNCTION)
    luaL_argerror(L, index, "tables need halo.json");
  lua_pushvalue(L, index);
  lua_call(L, 1, 2);
  if (lua_type(L, -2) != LUA_TSTRING) {
    luaL_tolstring(L, -1, NULL);
    lua_error(L);
  }
  lua_pop(L, 1);
  lua_replace(L, index);
}

/* The body at 'index': none is an empty one; nil may well be a read that has
 * failed. Gives its type. */
static const char *check_body(lua_State *L, int index, const char **body,
                              size_t *size) {
  const char *type = "text/plain; charset=utf-8";
  if (lua_isnone(L, index)) {
    *body = "";
    *size = 0;
    return NULL;
  }
  if (lua_istable(L, index)) {
    encode(L, index);
    type = "application/json";
  }
  *body = halo_bytes_check(L, index, size);
  return type;
}

static int send_whole(lua_State *L, http_response *r, const char *type,
                      const char *body, size_t size) {
  http_exchange *x = r->exchange;
  if (x->has_length && !is_bodiless(r) && x->promised != size)
    return luaL_error(L, "a body of %I bytes, but Content-Length is %I",
                      (lua_Integer)size, (lua_Integer)x->promised);
  int rc = http_answer(x, r->status, type, body, size);
  return rc < 0 ? fail(L, rc) : succeed(L);
}

/* res:send([body]) -> true | nil, err: string, buffer, or table as JSON */
static int response_send(lua_State *L) {
  http_response *r = check_response(L);
  const char *body;
  size_t size;
  const char *type = check_body(L, 2, &body, &size);
  int rc = state_of(r);
  if (rc < 0) return fail(L, rc);
  if (r->exchange->begun)
    return luaL_error(L, "the answer has begun: write and finish end it");
  return send_whole(L, r, type, body, size);
}

/* res:redirect(url, [status]) -> true | nil, err */
static int response_redirect(lua_State *L) {
  http_response *r = check_response(L);
  luaL_checkstring(L, 2);
  lua_Integer status = luaL_optinteger(L, 3, 302);
  luaL_argcheck(
      L, (status >= 301 && status <= 303) || status == 307 || status == 308, 3,
      "no status of a redirect");
  int rc = state_of(r);
  if (rc < 0) return fail(L, rc);
  if (r->exchange->begun)
    return luaL_error(L, "the answer has begun: it cannot redirect");
  lua_settop(L, 2);
  lua_pushliteral(L, "Location");
  http_header_set(L, r->exchange, 3, 2, false);
  r->status = (int)status;
  return send_whole(L, r, NULL, "", 0);
}

/* --- Piece by piece ------------------------------------------------------- */

/* Where too much waits to be taken by the system the task waits as well. */
static int written(lua_State *L, http_exchange *x) {
  halo_runtime *rt = x->state->rt;
  if (x->connection != NULL && http_queued(x->connection) > HTTP_QUEUED) {
    if (x->writing.task != NULL)
      return luaL_error(L, "another task is writing this answer");
    return halo_wait_start(L, &x->writing);
  }
  lua_pushboolean(L, 1);
  return halo_wait_at_once(rt) ? 1 : halo_wait_turn(L, 1);
}

/* Raises if the 'n' pieces from 2 on are none, or too many bytes. */
static void check_pieces(lua_State *L, const http_response *r, int n) {
  uint64_t total = 0;
  for (int i = 0; i < n; i++) {
    size_t size;
    halo_bytes_check(L, i + 2, &size);
    total += size;
  }
  const http_exchange *x = r->exchange;
  if (x == NULL || is_bodiless(r) || !(x->begun ? x->sized : x->has_length))
    return;
  if (total > x->promised)
    luaL_error(L, "%I bytes more than Content-Length says",
               (lua_Integer)(total - x->promised));
}

static int write_pieces(lua_State *L, http_response *r, int n) {
  int rc = 0;
  for (int i = 0; rc == 0 && (i < n || i == 0);) {
    uv_buf_t bufs[HTTP_BUFFERS];
    size_t total = 0;
    unsigned count = 0;
    for (; i < n && count < HTTP_BUFFERS; i++) {
      size_t size;
      const char *p = halo_bytes_check(L, i + 2, &size);
      if (size > 0) bufs[count++] = (uv_buf_t){.base = (char *)p, .len = size};
      total += size;
    }
    rc = http_answer_write(r->exchange, r->status, bufs, count, total);
    if (n == 0) break;
  }
  return rc;
}

/* res:write(data, ...) -> true | nil, err                           (waits) */
static int response_write(lua_State *L) {
  http_response *r = check_response(L);
  int n = lua_gettop(L) - 1;
  check_pieces(L, r, n);
  HALO_WAITS(L);
  int rc = state_of(r);
  if (rc == 0) rc = write_pieces(L, r, n);
  if (rc < 0) return fail(L, rc);
  return written(L, r->exchange);
}

/* res:finish([data, ...]) -> true | nil, err */
static int response_finish(lua_State *L) {
  http_response *r = check_response(L);
  int n = lua_gettop(L) - 1;
  check_pieces(L, r, n);
  int rc = state_of(r);
  if (rc < 0) return fail(L, rc);
  http_exchange *x = r->exchange;
  if (!x->begun && n <= 1) {
    size_t size = 0;
    const char *body = n == 1 ? halo_bytes_check(L, 2, &size) : "";
    return send_whole(L, r, NULL, body, size);
  }
  rc = n > 0 || !x->begun ? write_pieces(L, r, n) : 0;
  if (rc == 0 && x->sized && x->promised > 0 && !x->bodiless) {
    lua_Integer left = (lua_Integer)x->promised;
    http_abort(x->connection);
    return luaL_error(L, "%I bytes less than Content-Length says", left);
  }
  if (rc == 0) rc = http_answer_finish(x);
  return rc < 0 ? fail(L, rc) : succeed(L);
}

/* res:continue() -> true | nil, err: 100 Continue, if the client waits for it */
static int response_continue(lua_State *L) {
  http_response *r = check_response(L);
  int rc = state_of(r);
  if (rc == 0) rc = http_exchange_continue(r->exchange);
  return rc < 0 ? fail(L, rc) : succeed(L);
}

/* res:close() -> true: an unfinished answer is cut off, so that the client
 * sees that it is */
static int response_close(lua_State *L) {
  http_response *r = check_response(L);
  if (state_of(r) == 0) http_abort(r->exchange->connection);
  return succeed(L);
}

/* --- Fields --------------------------------------------------------------- */

/* res[name]. Upvalues: runtime, methods. */
static int response_index(lua_State *L) {
  http_response *r = check_response(L);
  size_t size;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  const char *name =
      lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &size) : "";
  if (strcmp(name, "status") == 0) {
    lua_pushinteger(L, r->status);
    return 1;
  }
  if (strcmp(name, "headers") != 0) return 0;
  if (lua_getiuservalue(L, 1, UV_HEADERS) != LUA_TNIL) return 1;
  http_headers_push_response(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, UV_HEADERS);
  return 1;
}

/* res.status = 404; res.headers = {…} */
static int response_newindex(lua_State *L) {
  http_response *r = check_response(L);
  http_exchange *x = r->exchange;
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool is_status = strcmp(name, "status") == 0;
  if (!is_status && strcmp(name, "headers") != 0)
    return luaL_error(L, "a response has no field '%s' to be set",
                      luaL_tolstring(L, 2, NULL));
  if (x == NULL || (x->begun && !x->refused))
    return luaL_error(L, "the %s cannot be set: the answer has begun", name);
  if (!is_status) {
    http_headers_assign(L, x, 3);
    return 0;
  }
  int exact;
  lua_Integer status = lua_tointegerx(L, 3, &exact);
  if (!exact || status < 200 || status > 999)
    return luaL_error(L, "a status must be an integer from 200 to 999");
  r->status = (int)status;
  return 0;
}

/* core.http.set_json(encode): what makes JSON of a table that is sent */
static int set_json(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &json_key);
  return 0;
}

static const luaL_Reg response_methods[] = {{"close", response_close},
                                            {"continue", response_continue},
                                            {"finish", response_finish},
                                            {"redirect", response_redirect},
                                            {"send", response_send},
                                            {"write", response_write},
                                            {NULL, NULL}};
static const luaL_Reg response_meta[] = {{"__close", response_close},
                                         {"__newindex", response_newindex},
                                         {NULL, NULL}};
const halo_class http_response_class = {"halo.http.Response", NULL,
                                        response_methods, response_meta};

void http_response_register(lua_State *L) {
  static const luaL_Reg funcs[] = {{"set_json", set_json}, {NULL, NULL}};
  halo_setfuncs(L, funcs); /* of the module's table, which is on top */
  halo_class_register(L, &http_response_class);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &http_response_class);
  lua_getfield(L, -1, "__index"); /* metatable, methods */
  halo_runtime_open(L);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, response_index, 2);
  lua_setfield(L, -3, "__index");
  lua_remove(L, -2);
}
