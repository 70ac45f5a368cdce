/* Names to addresses: the system's resolver, on libuv's pool. To give way to
 * halo.dns; nothing but core.resolve knows of it. */
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

typedef struct resolving {
  halo_wait wait;
  halo_runtime *rt;
  uv_getaddrinfo_t req;
  halo_calltimer timer;
  int status;
  char host[];
} resolving;

static int fail(lua_State *L, int rc, const char *host) {
  lua_pushnil(L);
  if (rc == UV_EAI_NONAME || rc == UV_EAI_NODATA || rc == UV_EAI_ADDRFAMILY)
    halo_error_push(L, "ENOTFOUND", "no such host: %s", host);
  else
    halo_error_uv(L, rc, "getaddrinfo", NULL);
  lua_pushstring(L, host);
  lua_setfield(L, -2, "host");
  lua_pushliteral(L, "resolve");
  lua_setfield(L, -2, "stage");
  return 2;
}

static int push_failure(lua_State *L) {
  resolving *r = lua_touserdata(L, 1);
  return fail(L, r->status, r->host);
}

/* A list of {address=, family=}, each once. */
static int push_addresses(lua_State *L) {
  resolving *r = lua_touserdata(L, 1);
  lua_Integer n = 0;
  if (r->status < 0) return push_failure(L);
  lua_newtable(L);
  for (struct addrinfo *i = r->req.addrinfo; i != NULL; i = i->ai_next) {
    net_address a;
    if (i->ai_addrlen > sizeof a) continue;
    memset(&a, 0, sizeof a);
    memcpy(&a, i->ai_addr, i->ai_addrlen);
    net_address_push(L, &a, i->ai_addrlen);
    lua_pushnil(L);
    lua_setfield(L, -2, "port");
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static void cancel_resolve(halo_wait *w) {
  resolving *r = (resolving *)w;
  if (!halo_closing(r->rt)) halo_timer_clear(r->rt, &r->timer);
  uv_cancel((uv_req_t *)&r->req); /* one that runs ends with nobody waiting */
}

static void on_timeout(halo_runtime *rt, halo_calltimer *t) {
  resolving *r = (resolving *)((char *)t - offsetof(resolving, timer));
  r->status = UV_ETIMEDOUT;
  int n = halo_protect(rt, push_failure, r);
  halo_wait_finish(rt, &r->wait, n);
  uv_cancel((uv_req_t *)&r->req);
}

static void on_resolve(uv_getaddrinfo_t *req, int status,
                       struct addrinfo *list) {
  resolving *r = req->data;
  halo_runtime *rt = r->rt;
  if (r->wait.task != NULL) {
    halo_timer_clear(rt, &r->timer);
    r->status = status;
    int n = halo_protect(rt, push_addresses, r);
    halo_wait_finish(rt, &r->wait, n);
  }
  uv_freeaddrinfo(list);
  free(r);
  halo_drain(rt);
}

/* No resolver sees what cannot be a host's name. */
static bool is_name(const char *host, size_t size) {
  size_t label = 0;
  if (size == 0 || size > 253 || strlen(host) != size) return false;
  for (size_t i = 0; i < size; i++) {
    if ((unsigned char)host[i] <= ' ' || host[i] == 0x7f) return false;
    label = host[i] == '.' ? 0 : label + 1;
    if (label > 63) return false;
  }
  return true;
}

/* core.resolve(host, timeout | nil) -> list | nil, err               (waits) */
int net_resolve(lua_State *L) {
  size_t size;
  const char *host = luaL_checklstring(L, 1, &size);
  uint64_t ms = lua_isnoneornil(L, 2) ? 0 : halo_check_ms(L, 2);
  bool limited = !lua_isnoneornil(L, 2);
  HALO_WAITS(L);
  halo_runtime *rt = halo_rt(L);
  if (!is_name(host, size)) return fail(L, UV_EAI_NONAME, host);
  resolving *r = calloc(1, sizeof *r + size + 1);
  if (r == NULL) return fail(L, UV_ENOMEM, host);
  r->wait = (halo_wait){.cancel = cancel_resolve, .what = "resolve"};
  r->rt = rt;
  r->req.data = r;
  r->timer.fire = on_timeout;
  memcpy(r->host, host, size + 1);
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  int rc =
      uv_getaddrinfo(halo_loop(rt), &r->req, on_resolve, host, NULL, &hints);
  if (rc < 0) {
    free(r);
    return fail(L, rc, host);
  }
  if (limited) halo_timer_set(rt, &r->timer, ms);
  return halo_wait_start(L, &r->wait);
}
