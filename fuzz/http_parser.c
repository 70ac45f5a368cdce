/* Bytes of a client, through the whole HTTP server: guard, llhttp, state
 * machine, a Lua handler that looks at everything. No sockets: a stream that
 * swallows what is written. The first byte of an input says in what pieces
 * the others come, and how the stream takes writes. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

/* --- A stream that goes nowhere ------------------------------------------- */

typedef struct fake {
  halo_stream stream;
  bool reading, closed, shut;
  bool slow; /* takes a part only, and queues the rest */
  size_t queued;
} fake;

static int fake_read_start(halo_stream *s) {
  ((fake *)s)->reading = true;
  return 0;
}

static void fake_read_stop(halo_stream *s) { ((fake *)s)->reading = false; }

static size_t size_of(const uv_buf_t *bufs, unsigned n) {
  size_t size = 0;
  for (unsigned i = 0; i < n; i++) size += bufs[i].len;
  return size;
}

static ssize_t fake_try_write(halo_stream *s, const uv_buf_t *bufs,
                              unsigned n) {
  fake *f = (fake *)s;
  if (f->closed || f->shut) return UV_EPIPE;
  if (f->queued > 0) return 0;
  size_t size = size_of(bufs, n);
  return (ssize_t)(f->slow ? size / 2 : size);
}

static int fake_write(halo_stream *s, const uv_buf_t *bufs, unsigned n) {
  fake *f = (fake *)s;
  if (f->closed || f->shut) return UV_EPIPE;
  f->queued += size_of(bufs, n);
  return 0;
}

static size_t fake_queued(halo_stream *s) { return ((fake *)s)->queued; }

static int fake_shutdown(halo_stream *s) {
  fake *f = (fake *)s;
  f->shut = true;
  return f->queued == 0;
}

static void fake_close(halo_stream *s) {
  fake *f = (fake *)s;
  if (f->closed) return;
  f->closed = true;
  if (s->consumer != NULL) s->consumer->on_close(s);
  s->consumer = NULL;
}

static void fake_ref(halo_stream *s, bool on) { (void)s, (void)on; }

static int fake_address(halo_stream *s, lua_State *L) {
  (void)s;
  lua_newtable(L);
  return 1;
}

static const halo_stream_ops fake_ops = {.kind = "fake socket",
                                         .read_start = fake_read_start,
                                         .read_stop = fake_read_stop,
                                         .try_write = fake_try_write,
                                         .write = fake_write,
                                         .queued = fake_queued,
                                         .shutdown = fake_shutdown,
                                         .close = fake_close,
                                         .ref = fake_ref,
                                         .local_address = fake_address,
                                         .remote_address = fake_address};

/* --- The server ----------------------------------------------------------- */

static const char script[] =
    "local core = ...\n"
    "local options = { headers_timeout = 15, request_timeout = 300,\n"
    "  body_timeout = 30, keep_alive_timeout = 75, write_timeout = 60,\n"
    "  max_target = 256, max_header_size = 1024, max_headers = 10,\n"
    "  max_body = 512, max_trailer_size = 128, max_chunk_extension = 32,\n"
    "  max_chunk_extensions = 64, max_connections = 10 }\n"
    "return core.http.server(options, function(req, res)\n"
    "  local seen = { req.method, req.target, req.path, req.version }\n"
    "  for name, value in pairs(req.headers) do\n"
    "    assert(#req.headers:all(name) >= 1 and req.headers[name])\n"
    "    assert(not value:find('[\\r\\n\\0]'))\n"
    "  end\n"
    "  core.http.parse_query(req.query_string)\n"
    "  if req.path == '/yield' then core.yield() end\n"
    "  if req.method == 'PUT' then\n"
    "    while true do\n"
    "      local data = req:read(7)\n"
    "      if not data then break end\n"
    "      if not res:write(data) then return end\n"
    "    end\n"
    "    req:_trailers()\n"
    "    return res:finish()\n"
    "  end\n"
    "  local text = req.method == 'POST' and req:text() or ''\n"
    "  res.headers['X-Size'] = #text\n"
    "  res:send(text)\n"
    "end)\n";

static lua_State *L;
static halo_runtime *rt;
static halo_acceptor *acceptor;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  L = luaL_newstate();
  luaL_openlibs(L);
  rt = halo_runtime_open(L);
  lua_pop(L, 1);
  if (luaL_loadstring(L, script) != LUA_OK) abort();
  lua_pushcfunction(L, luaopen_halo_core);
  lua_call(L, 0, 1);
  lua_call(L, 1, 1);
  acceptor = lua_touserdata(L, -1); /* stays on the stack */
  return 0;
}

/* --- One input ------------------------------------------------------------ */

static void turn(fake *f) {
  for (int i = 0; i < 4; i++) {
    uv_run(halo_loop(rt), UV_RUN_NOWAIT);
    if (f->queued > 0 && !f->closed) {
      f->queued = 0;
      f->stream.consumer->on_drain(&f->stream, 0);
      halo_drain(rt);
    }
  }
}

static void feed(fake *f, const char *data, size_t size) {
  char *copy = malloc(size); /* so that reading beyond it is noticed */
  memcpy(copy, data, size);
  f->stream.consumer->on_data(&f->stream, copy, size);
  free(copy);
  halo_drain(rt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  size_t piece = data[0] & 0x3f;
  fake f = {.stream = {.ops = &fake_ops, .rt = rt}, .slow = data[0] & 0x40};
  const char *p = (const char *)data + 1, *end = (const char *)data + size;
  acceptor->accept(acceptor, &f.stream);
  halo_drain(rt);
  while (p < end && !f.closed) {
    size_t n = (size_t)(end - p);
    if (piece > 0 && n > piece) n = piece;
    if (f.reading) {
      feed(&f, p, n);
      p += n;
    }
    if (piece > 0 || !f.reading) turn(&f);
    if (!f.reading && !f.closed && f.queued == 0) break; /* nobody reads */
  }
  turn(&f);
  if (!f.closed && (data[0] & 0x80)) {
    f.reading = false;
    f.stream.consumer->on_end(&f.stream, UV_EOF);
    halo_drain(rt);
    turn(&f);
  }
  fake_close(&f.stream);
  halo_drain(rt);
  turn(&f);
  lua_gc(L, LUA_GCSTEP, 0);
  return 0;
}
