/* SIGPIPE, which must not end a host that has not asked for it, and whose
 * handling is not ours to change: it is blocked while needed, and one that
 * came meanwhile is taken away. */
#include <pthread.h>
#include <signal.h>

#include "stream/stream.h"

static _Thread_local unsigned depth;
static _Thread_local bool blocked; /* by us */

static void set_of_one(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGPIPE);
}

void halo_sigpipe_block(void) {
  struct sigaction action;
  sigset_t set, old;
  if (depth++ > 0) return;
  blocked = false;
  if (sigaction(SIGPIPE, NULL, &action) == 0 &&
      !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN)
    return;
  set_of_one(&set);
  if (pthread_sigmask(SIG_BLOCK, &set, &old) == 0)
    blocked = !sigismember(&old, SIGPIPE);
}

void halo_sigpipe_unblock(void) {
  sigset_t set, pending;
  int sig;
  if (--depth > 0 || !blocked) return;
  blocked = false;
  set_of_one(&set);
  if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
    sigwait(&set, &sig);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
