/* The command line: lua5.4's options and our own. */
#ifndef HALO_COMMAND_OPTIONS_H
#define HALO_COMMAND_OPTIONS_H

#include <stdbool.h>

typedef struct halo_options {
  const char *progname;
  int argc;
  char **argv;
  int script;      /* index of the script in argv; argc: none */
  const char *bad; /* the option that is wrong; NULL: none */
  bool no_environment, interactive, version, executes;
  bool help, why_alive, test;
  bool watch;  /* we watch and restart another of us */
  int watched; /* one of us watches: where to tell it what we load */
} halo_options;

void halo_options_read(halo_options *o, int argc, char **argv);
void halo_options_usage(const halo_options *o);

#endif
