/* Files: each operation that a user asks for is one job on the thread pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/halo.h"

int halo_fs_open(lua_State *L);

/* A job on one path, and its outcome. */
typedef struct fs_job {
  halo_job job;
  const char *syscall; /* what failed */
  int error;           /* an errno, 0 when all went well */
  struct stat st;
  char *data; /* malloc'ed */
  size_t size;
  char path[]; /* a copy: the string may be collected meanwhile */
} fs_job;

static void free_job(halo_job *job) {
  fs_job *j = (fs_job *)job;
  free(j->data);
  free(j);
}

/* The path at 1: no path holds a NUL. */
static const char *check_path(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(path) == size, 1, "path contains a NUL byte");
  return path;
}

static int start_job(lua_State *L, const char *path, void (*work)(halo_job *),
                     lua_CFunction push, const char *what) {
  size_t size = strlen(path) + 1;
  fs_job *j = calloc(1, sizeof *j + size);
  if (j == NULL) return luaL_error(L, "not enough memory");
  memcpy(j->path, path, size);
  j->job.work = work;
  j->job.push = push;
  j->job.free = free_job;
  return halo_job_wait(L, &j->job, what);
}

static void fail_job(fs_job *j, const char *syscall) {
  j->error = errno;
  j->syscall = syscall;
}

static int push_failure(lua_State *L, fs_job *j) {
  return halo_fail(L, -j->error, j->syscall, j->path);
}

/* --- read_file --------------------------------------------------------------- */

/* Reads to the end; the size is a first guess only, since files grow and
 * those of /proc say 0. */
static void read_all(fs_job *j, int fd) {
  size_t room = (size_t)j->st.st_size + 1;
  if (room < 4096) room = 4096;
  j->data = malloc(room);
  while (j->data != NULL) {
    ssize_t n = read(fd, j->data + j->size, room - j->size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_job(j, "read");
    if (n <= 0) return;
    j->size += (size_t)n;
    if (j->size < room) continue;
    char *data = realloc(j->data, room * 2);
    if (data == NULL) break;
    j->data = data;
    room *= 2;
  }
  errno = ENOMEM;
  fail_job(j, "read");
}

static void read_file_work(halo_job *job) {
  fs_job *j = (fs_job *)job;
  int fd = open(j->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fail_job(j, "open");
    return;
  }
  if (fstat(fd, &j->st) < 0)
    fail_job(j, "fstat");
  else if (S_ISDIR(j->st.st_mode)) {
    errno = EISDIR;
    fail_job(j, "read");
  } else
    read_all(j, fd);
  close(fd);
}

static int push_data(lua_State *L) {
  fs_job *j = lua_touserdata(L, 1);
  if (j->error != 0) return push_failure(L, j);
  lua_pushlstring(L, j->data, j->size);
  return 1;
}

/* fs.read_file(path) -> string | nil, err                            (waits) */
static int fs_read_file(lua_State *L) {
  const char *path = check_path(L);
  HALO_WAITS(L);
  return start_job(L, path, read_file_work, push_data, "read_file");
}

/* --- stat ----------------------------------------------------------------------- */

static const char stat_key = 0; /* the metatable of what stat gives */

static const char *type_name(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case S_IFIFO:
    return "fifo";
  case S_IFSOCK:
    return "socket";
  case S_IFCHR:
    return "character device";
  case S_IFBLK:
    return "block device";
  default:
    return "unknown";
  }
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static void set_time(lua_State *L, const char *key, struct timespec t) {
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  lua_setfield(L, -2, key);
}

static int push_stat(lua_State *L) {
  fs_job *j = lua_touserdata(L, 1);
  if (j->error != 0) return push_failure(L, j);
  const struct stat *st = &j->st;
  lua_createtable(L, 0, 14);
  set_integer(L, "size", st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  lua_pushstring(L, type_name(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "ino", (lua_Integer)st->st_ino);
  set_integer(L, "dev", (lua_Integer)st->st_dev);
  set_integer(L, "nlink", (lua_Integer)st->st_nlink);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "blksize", st->st_blksize);
  set_integer(L, "blocks", st->st_blocks);
#ifdef __APPLE__
  set_time(L, "atime", st->st_atimespec);
  set_time(L, "mtime", st->st_mtimespec);
  set_time(L, "ctime", st->st_ctimespec);
#else
  set_time(L, "atime", st->st_atim);
  set_time(L, "mtime", st->st_mtim);
  set_time(L, "ctime", st->st_ctim);
#endif
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stat_key);
  lua_setmetatable(L, -2);
  return 1;
}

static void stat_work(halo_job *job) {
  fs_job *j = (fs_job *)job;
  if (stat(j->path, &j->st) < 0) fail_job(j, "stat");
}

static void lstat_work(halo_job *job) {
  fs_job *j = (fs_job *)job;
  if (lstat(j->path, &j->st) < 0) fail_job(j, "lstat");
}

/* fs.stat(path) -> table | nil, err                                  (waits) */
static int fs_stat(lua_State *L) {
  const char *path = check_path(L);
  HALO_WAITS(L);
  return start_job(L, path, stat_work, push_stat, "stat");
}

/* fs.lstat(path) -> table | nil, err: of a link itself               (waits) */
static int fs_lstat(lua_State *L) {
  const char *path = check_path(L);
  HALO_WAITS(L);
  return start_job(L, path, lstat_work, push_stat, "lstat");
}

int halo_fs_open(lua_State *L) {
  static const luaL_Reg funcs[] = {{"read_file", fs_read_file},
                                   {"stat", fs_stat},
                                   {"lstat", fs_lstat},
                                   {NULL, NULL}};
  lua_newtable(L);
  halo_setfuncs(L, funcs);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stat_key);
  lua_setfield(L, -2, "Stat"); /* halo.fs adds the methods */
  return 1;
}
