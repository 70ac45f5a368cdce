/* embed OUT FILE...: precompiles Lua modules into one C file.
 *
 * lua/halo/fs.lua becomes the module halo.fs with the chunk name halo/fs.lua
 * (line numbers are kept, so that tracebacks work); src/command/x.lua becomes
 * halo.command.x. The array is sorted as the arguments are. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *message) {
  fprintf(stderr, "embed: %s\n", message);
  exit(EXIT_FAILURE);
}

/* "lua/halo/fs.lua" -> "halo/fs.lua"; "src/command/…" -> "halo/command/…" */
static void public_path(const char *file, char *path, size_t size) {
  const char *in_command = strstr(file, "src/command/");
  const char *in_lua = strstr(file, "lua/halo/");
  if (in_command != NULL)
    snprintf(path, size, "halo/command/%s", in_command + 12);
  else if (in_lua != NULL)
    snprintf(path, size, "%s", in_lua + 4);
  else
    fail("a file outside lua/halo and src/command");
}

/* "halo/fs.lua" -> "halo.fs"; "halo/init.lua" -> "halo" */
static void module_name(const char *path, char *name, size_t size) {
  snprintf(name, size, "%s", path);
  *strrchr(name, '.') = '\0';
  char *last = strrchr(name, '/');
  if (strcmp(last, "/init") == 0) *last = '\0';
  for (char *c = name; *c != '\0'; c++)
    if (*c == '/') *c = '.';
}

typedef struct {
  FILE *out;
  size_t size;
} writer;

static int write_bytes(lua_State *L, const void *p, size_t size, void *ud) {
  (void)L;
  writer *w = ud;
  const unsigned char *bytes = p;
  for (size_t i = 0; i < size; i++) {
    if (w->size++ % 20 == 0) fputs("\"\n  \"", w->out);
    fprintf(w->out, "\\%03o", bytes[i]);
  }
  return 0;
}

static char *read_file(const char *file, size_t *size) {
  FILE *f = fopen(file, "rb");
  if (f == NULL) fail(file);
  char *text = NULL;
  *size = 0;
  for (;;) {
    text = realloc(text, *size + 65536);
    if (text == NULL) fail("not enough memory");
    size_t n = fread(text + *size, 1, 65536, f);
    if (n == 0) break;
    *size += n;
  }
  fclose(f);
  return text;
}

static size_t embed(lua_State *L, FILE *out, const char *file, int index) {
  char path[512], chunk[520];
  size_t size;
  char *text = read_file(file, &size);
  public_path(file, path, sizeof path);
  snprintf(chunk, sizeof chunk, "=%s", path);
  if (luaL_loadbufferx(L, text, size, chunk, "t") != LUA_OK)
    fail(lua_tostring(L, -1));
  free(text);
  writer w = {out, 0};
  fprintf(out, "static const char code_%d[] = \"", index);
  lua_dump(L, write_bytes, &w, 0);
  fputs("\";\n", out);
  lua_pop(L, 1);
  return w.size;
}

int main(int argc, char **argv) {
  if (argc < 2) fail("usage: embed OUT FILE...");
  lua_State *L = luaL_newstate();
  FILE *out = fopen(argv[1], "w");
  if (L == NULL || out == NULL) fail(argv[1]);
  size_t *sizes = calloc((size_t)argc, sizeof *sizes);
  if (sizes == NULL) fail("not enough memory");
  fputs("/* Made by tools/embed. */\n#include \"command/modules.h\"\n\n", out);
  for (int i = 2; i < argc; i++) sizes[i] = embed(L, out, argv[i], i);
  fputs("\nconst halo_module halo_modules[] = {\n", out);
  for (int i = 2; i < argc; i++) {
    char path[512], name[512];
    public_path(argv[i], path, sizeof path);
    module_name(path, name, sizeof name);
    fprintf(out, "    {\"%s\", \"=%s\", code_%d, %zu},\n", name, path, i,
            sizes[i]);
  }
  fputs("    {0, 0, 0, 0}};\n", out);
  free(sizes);
  lua_close(L);
  return fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
