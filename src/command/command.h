/* The parts of the command beside its main. */
#ifndef HALO_COMMAND_COMMAND_H
#define HALO_COMMAND_COMMAND_H

#include <lua.h>

#include "command/options.h"

/* Pushes the table of what the interactive mode needs of C.  [-0, +1, m] */
void halo_repl_open(lua_State *L);

/* halo --watch: runs the script in a process of its own, anew whenever a
 * file that it uses changes. Gives the exit code. */
int halo_watch(const halo_options *o);

/* The watched process: tells each file that it loads.        [-0, +0, m] */
void halo_watched_open(lua_State *L, int fd);

#endif
