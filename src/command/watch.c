/* halo --watch script: the script runs in a process of its own, which tells
 * over a pipe each file that it loads; when one of them changes it is ended
 * and started anew. Directories are watched, not files, since editors put a
 * new file in the place of the old one. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "command/command.h"

enum { SETTLE_MS = 100, KILL_MS = 2000, PIPE_FD = 3 };

/* --- The watched process ------------------------------------------------------ */

static void tell(int fd, const char *name) {
  char path[PATH_MAX + 1];
  if (realpath(name, path) == NULL) return;
  size_t size = strlen(path);
  path[size++] = '\n';
  ssize_t n;
  do n = write(fd, path, size);
  while (n < 0 && errno == EINTR);
}

/* searcher(name) -> loader, file: the stock one, whose answer is told */
static int telling_searcher(lua_State *L) {
  int fd = (int)lua_tointeger(L, lua_upvalueindex(2));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  if (lua_gettop(L) >= 2 && lua_type(L, 2) == LUA_TSTRING)
    tell(fd, lua_tostring(L, 2));
  return lua_gettop(L);
}

void halo_watched_open(lua_State *L, int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_rawgeti(L, -1, 2);
  lua_pushinteger(L, fd);
  lua_pushcclosure(L, telling_searcher, 2);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

/* --- The watching process ------------------------------------------------------- */

typedef struct directory {
  struct directory *next;
  uv_fs_event_t event;
  char path[];
} directory;

typedef struct file {
  struct file *next;
  char path[];
} file;

static struct {
  const halo_options *options;
  uv_loop_t *loop;
  uv_process_t process;
  uv_pipe_t *pipe;
  uv_timer_t timer;    /* until changes have settled, then until the KILL */
  bool running, again; /* again: to be started when it has ended */
  int signal;          /* one that was sent to us and passed on */
  int code;
  directory *directories;
  file *files;
  char line[PATH_MAX + 1]; /* the part of a line that has come */
  size_t size;
} watch;

static void start(void);

static void say(const char *text) {
  fprintf(stderr, "halo: %s\n", text);
  fflush(stderr);
}

static void on_late(uv_timer_t *timer) {
  (void)timer;
  if (watch.running) uv_process_kill(&watch.process, SIGKILL);
}

static void on_settled(uv_timer_t *timer) {
  say("a file has changed, starting again");
  watch.again = true;
  if (!watch.running) {
    start();
    return;
  }
  uv_process_kill(&watch.process, SIGTERM);
  uv_timer_start(timer, on_late, KILL_MS, 0);
}

static void on_event(uv_fs_event_t *event, const char *name, int events,
                     int status) {
  (void)events;
  const directory *d = event->data;
  char path[PATH_MAX * 2];
  if (status < 0 || name == NULL || watch.again || watch.signal != 0) return;
  snprintf(path, sizeof path, "%s/%s", d->path, name);
  for (const file *f = watch.files; f != NULL; f = f->next)
    if (strcmp(f->path, path) == 0)
      uv_timer_start(&watch.timer, on_settled, SETTLE_MS, 0);
}

static void *new_node(size_t size, const char *path) {
  size_t length = strlen(path) + 1;
  char *node = calloc(1, size + length);
  if (node == NULL) abort();
  memcpy(node + size, path, length);
  return node;
}

static void add_directory(const char *path) {
  for (const directory *d = watch.directories; d != NULL; d = d->next)
    if (strcmp(d->path, path) == 0) return;
  directory *d = new_node(sizeof *d, path);
  d->next = watch.directories;
  watch.directories = d;
  d->event.data = d;
  uv_fs_event_init(watch.loop, &d->event);
  if (uv_fs_event_start(&d->event, on_event, path, 0) < 0)
    fprintf(stderr, "halo: cannot watch %s\n", path);
}

static void add_file(const char *path) {
  char copy[PATH_MAX + 1];
  for (const file *f = watch.files; f != NULL; f = f->next)
    if (strcmp(f->path, path) == 0) return;
  file *f = new_node(sizeof *f, path);
  f->next = watch.files;
  watch.files = f;
  snprintf(copy, sizeof copy, "%s", path);
  add_directory(dirname(copy));
}

/* --- What the process tells -------------------------------------------------------- */

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
  (void)handle;
  (void)size;
  static char bytes[4096];
  *buf = uv_buf_init(bytes, sizeof bytes);
}

static void free_pipe(uv_handle_t *pipe) { free(pipe); }

static void on_told(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  if (n < 0) {
    uv_close((uv_handle_t *)stream, free_pipe);
    return;
  }
  for (ssize_t i = 0; i < n; i++) {
    char c = buf->base[i];
    if (c != '\n' && watch.size < PATH_MAX) {
      watch.line[watch.size++] = c;
      continue;
    }
    watch.line[watch.size] = '\0';
    watch.size = 0;
    add_file(watch.line);
  }
}

static void on_closed(uv_handle_t *handle) {
  (void)handle;
  if (watch.again)
    start();
  else if (watch.signal != 0)
    uv_stop(watch.loop);
}

static void on_exit_of(uv_process_t *process, int64_t code, int sig) {
  char text[64];
  watch.running = false;
  watch.code = sig != 0 ? 128 + sig : (int)code;
  uv_timer_stop(&watch.timer);
  if (!watch.again && watch.signal == 0) {
    snprintf(text, sizeof text, "ended with %d, waiting for a change",
             watch.code);
    say(text);
  }
  uv_close((uv_handle_t *)process, on_closed);
}

/* --- Starting and ending it --------------------------------------------------------------- */

/* Our own arguments, with the pipe in the place of --watch. */
static char **arguments(void) {
  static char told[32];
  const halo_options *o = watch.options;
  char **argv = calloc((size_t)o->argc + 1, sizeof *argv);
  if (argv == NULL) abort();
  snprintf(told, sizeof told, "--watched-by=%d", PIPE_FD);
  for (int i = 0; i < o->argc; i++)
    argv[i] =
        i < o->script && strcmp(o->argv[i], "--watch") == 0 ? told : o->argv[i];
  return argv;
}

static void start(void) {
  char path[PATH_MAX];
  size_t size = sizeof path;
  watch.again = false;
  watch.size = 0;
  watch.pipe = calloc(1, sizeof *watch.pipe);
  if (watch.pipe == NULL || uv_exepath(path, &size) < 0) abort();
  uv_pipe_init(watch.loop, watch.pipe, 0);
  uv_stdio_container_t stdio[PIPE_FD + 1] = {
      {.flags = UV_INHERIT_FD, .data.fd = 0},
      {.flags = UV_INHERIT_FD, .data.fd = 1},
      {.flags = UV_INHERIT_FD, .data.fd = 2},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
       .data.stream = (uv_stream_t *)watch.pipe}};
  char **argv = arguments();
  uv_process_options_t options = {.exit_cb = on_exit_of,
                                  .file = path,
                                  .args = argv,
                                  .stdio_count = PIPE_FD + 1,
                                  .stdio = stdio};
  int rc = uv_spawn(watch.loop, &watch.process, &options);
  free(argv);
  if (rc < 0) {
    say(uv_strerror(rc));
    uv_close((uv_handle_t *)watch.pipe, free_pipe);
    return;
  }
  watch.running = true;
  uv_read_start((uv_stream_t *)watch.pipe, give_buffer, on_told);
}

static void on_signal(uv_signal_t *handle, int sig) {
  (void)handle;
  watch.signal = sig;
  watch.again = false;
  if (watch.running) {
    uv_process_kill(&watch.process, sig);
    uv_timer_start(&watch.timer, on_late, KILL_MS, 0);
  } else {
    watch.code = 128 + sig;
    uv_stop(watch.loop);
  }
}

int halo_watch(const halo_options *o) {
  char path[PATH_MAX];
  static uv_signal_t interrupt, terminate;
  if (o->script >= o->argc || realpath(o->argv[o->script], path) == NULL) {
    fprintf(stderr, "%s: --watch needs a script\n", o->progname);
    return EXIT_FAILURE;
  }
  watch.options = o;
  watch.loop = uv_default_loop();
  uv_timer_init(watch.loop, &watch.timer);
  uv_signal_init(watch.loop, &interrupt);
  uv_signal_start(&interrupt, on_signal, SIGINT);
  uv_signal_init(watch.loop, &terminate);
  uv_signal_start(&terminate, on_signal, SIGTERM);
  add_file(path);
  start();
  uv_run(watch.loop, UV_RUN_DEFAULT);
  return watch.code; /* the system takes the rest back */
}
