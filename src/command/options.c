/* Reads the command line as lua.c does, plus the long options of our own. */
#include "command/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A long option; false if there is none of that name. */
static bool read_long(halo_options *o, const char *name) {
  if (strcmp(name, "--help") == 0)
    o->help = true;
  else if (strcmp(name, "--version") == 0)
    o->version = o->executes = true; /* nothing more is to be done */
  else if (strcmp(name, "--why-alive") == 0)
    o->why_alive = true;
  else if (strcmp(name, "--watch") == 0)
    o->watch = true;
  else if (strncmp(name, "--watched-by=", 13) == 0)
    o->watched = atoi(name + 13);
  else
    return false;
  return true;
}

/* Reads the option at *i, which may take the next argument, too; false if it
 * is wrong. */
static bool read_option(halo_options *o, int *i) {
  const char *arg = o->argv[*i];
  bool alone = arg[2] == '\0';
  switch (arg[1]) {
  case '-':
    return read_long(o, arg);
  case 'E':
    o->no_environment = true;
    return alone;
  case 'W':
    return alone;
  case 'i':
    o->interactive = o->version = true;
    return alone;
  case 'v':
    o->version = true;
    return alone;
  case 'e':
    o->executes = true; /* FALLTHROUGH */
  case 'l':
    if (!alone) return true;
    *i += 1;
    return o->argv[*i] != NULL && o->argv[*i][0] != '-';
  default:
    return false;
  }
}

void halo_options_read(halo_options *o, int argc, char **argv) {
  *o = (halo_options){.argc = argc, .argv = argv, .progname = "halo"};
  o->watched = -1;
  if (argc > 0 && argv[0][0] != '\0') o->progname = argv[0];
  int i = 1;
  for (; i < argc; i++) {
    int first = i;
    if (argv[i][0] != '-' || argv[i][1] == '\0') break; /* script, stdin */
    if (strcmp(argv[i], "--") == 0) {
      i++;
      break;
    }
    if (!read_option(o, &i)) {
      o->bad = argv[first];
      return;
    }
  }
  o->script = i < argc ? i : argc;
  o->test = i < argc && strcmp(argv[i], "test") == 0 &&
            (i == 1 || strcmp(argv[i - 1], "--") != 0);
}

void halo_options_usage(const halo_options *o) {
  FILE *out = o->bad == NULL ? stdout : stderr;
  if (o->bad != NULL) {
    fprintf(out, "%s: ", o->progname);
    if (o->bad[1] == 'e' || o->bad[1] == 'l')
      fprintf(out, "'%s' needs argument\n", o->bad);
    else
      fprintf(out, "unrecognized option '%s'\n", o->bad);
  }
  fprintf(out,
          "usage: %s [options] [script [args]]\n"
          "       %s test [busted's arguments]\n"
          "Available options are:\n"
          "  -e stat      execute string 'stat'\n"
          "  -i           enter interactive mode after executing 'script'\n"
          "  -l mod       require library 'mod' into global 'mod'\n"
          "  -l g=mod     require library 'mod' into global 'g'\n"
          "  -v           show version information\n"
          "  -E           ignore environment variables\n"
          "  -W           turn warnings on\n"
          "  --watch      run 'script' anew when a file that it uses changes\n"
          "  --why-alive  tell what keeps the process up\n"
          "  --help       show this\n"
          "  --           stop handling options\n"
          "  -            stop handling options and execute stdin\n",
          o->progname, o->progname);
  fflush(out);
}
