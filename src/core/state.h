/* The core's own structs, shared by its files and by nobody above them. */
#ifndef HALO_CORE_STATE_H
#define HALO_CORE_STATE_H

#include "core/error.h"
#include "core/promise.h"
#include "core/resource.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/timer.h"

/* --- Sites: where a callback was set -------------------------------------- */

typedef struct halo_site {
  struct halo_site *parent; /* where the code that set it was spawned */
  struct halo_site *next;   /* in its bucket */
  unsigned refs;
  int line;
  unsigned hash;
  unsigned depth;
  char source[]; /* as short_src of lua_Debug */
} halo_site;

enum { SITE_BUCKETS = 512, SITE_DEPTH = 16, SITES_SWEPT = 1024 };

/* --- Contexts: halo.context's values, inherited ---------------------------- */

typedef struct halo_context {
  struct halo_context *parent;
  unsigned refs;
  const void *key; /* the context object's address */
  int key_slot;    /* keeps that object, so that the address stays its own */
  int value_slot;
} halo_context;

/* --- Promises --------------------------------------------------------------- */

enum { PENDING, FULFILLED, REJECTED };
enum {
  UV_VALUE = 1,     /* the value, the reason, or the table of values */
  UV_REACTIONS = 2, /* pending: objects in the list; rejected: traceback */
  UV_ARGS = 3       /* a Task's arguments, until it begins */
};

typedef struct halo_reaction halo_reaction;
struct halo_reaction {
  halo_reaction *next, *prev;
  enum reaction_kind {
    REACT_AWAIT,   /* wakes 'task'; the node is in the task's own record */
    REACT_NEXT,    /* p:next's: a userdata with the callbacks */
    REACT_ADOPT,   /* settles another promise alike */
    REACT_CALL,    /* our Lua's own: called at once, not by a job */
    REACT_THENABLE /* not in a list: a __then that is to be called */
  } kind;
  int index; /* of the userdata in the promise's table; 0: it is the value */
  halo_task *task;
};

struct halo_promise {
  const halo_class *class;
  uint8_t state;
  bool handled : 1;  /* somebody looks after a rejection */
  bool packed : 1;   /* the value is a table of 'n' values */
  bool queued : 1;   /* in the list of rejections to be looked at */
  bool canceled : 1; /* a Task that ended by its own cancellation */
  uint16_t pair;     /* which pair of resolving functions is still in force */
  int n;             /* values of a fulfilled one */
  int nreactions;    /* userdata among the reactions, ever */
  halo_reaction *first, *last;
};

/* A Task: a promise, and what its record needs once it begins. */
typedef struct task_object {
  halo_promise promise;
  bool spawned; /* not one of p:next's */
  bool packed;  /* UV_VALUE is a table of the function and its arguments */
  int nargs;
  uint64_t id;
  halo_task *task; /* its record, from its beginning to its end */
  halo_site *site;
  halo_context *context;
} task_object;

/* A reaction that is a Lua object. */
typedef struct reaction_object {
  const halo_class *class;
  halo_reaction node;
  halo_context *context; /* of class reaction_context_class, else NULL */
} reaction_object;
enum {
  REACTION_VALUE = 1,
  REACTION_ERROR = 2,
  REACTION_DERIVED = 3,
  REACTION_SOURCE = 4
};

/* --- Frames: what bounds a part of a task ----------------------------------- */

typedef struct halo_frame halo_frame;
struct halo_frame {
  const halo_class *class;
  halo_frame *outer;
  halo_task *task; /* NULL while its coroutine is suspended by the user */
  enum frame_kind {
    FRAME_TIMEOUT,
    FRAME_SCOPE,
    FRAME_SHIELD,
    FRAME_CONTEXT
  } kind;
  bool active;    /* on a task's list, or on a suspended coroutine's */
  bool cancelled; /* each wait inside raises ECANCELED */
  halo_calltimer timer;
  halo_runtime *rt;
  halo_context *context, *saved; /* FRAME_CONTEXT */
};

/* --- Tasks ------------------------------------------------------------------- */

enum task_state {
  TASK_NEW,
  TASK_READY,
  TASK_RUNNING,
  TASK_WAITING,
  TASK_ENDED
};

struct halo_task {
  halo_task *next, *prev; /* all live tasks; next: free list */
  halo_runtime *rt;
  lua_State *co; /* its coroutine, once it has begun */
  int co_slot;
  lua_State *at; /* the innermost coroutine, which waits */
  int nvalues;   /* on top of 'at': what the wait gives */
  halo_wait *wait;
  halo_frame *frames;
  lua_State *pinned; /* a coroutine that a C function holds: no wait passes */
  halo_site *site;
  halo_context *context;
  halo_promise *promise;    /* its Lua face; NULL: nobody asked */
  int slot;                 /* anchors that face, or the function to call */
  int then_slot, then_pair; /* a thenable's: promise, pair of functions */
  halo_task_done *done;
  void *ud;
  uint64_t id;
  uint8_t state;
  uint8_t origin; /* enum task_origin */
  bool packed;    /* slot holds a table of function and arguments */
  bool cancelled;
  bool failing;      /* the value to come is to be raised */
  bool yielded;      /* a plain yield came out of it: to be raised */
  bool resolves;     /* its end resolves (adopts), not just fulfils */
  bool from_promise; /* what it waited for has settled: own.source */
  int reason_slot;
  struct { /* from here on nothing is cleared when a record is taken */
    halo_wait wait;
    halo_timer node;        /* sleep, yield */
    halo_reaction reaction; /* await */
    halo_promise *source;
    uint64_t created_at;
  } own; /* the waits that need no record of their own */
};

enum task_origin {
  ORIGIN_CALLBACK, /* nobody holds it: an error is an uncaught error */
  ORIGIN_SPAWN,    /* a Task of the user's */
  ORIGIN_DERIVED,  /* runs a callback of p:next for the derived promise */
  ORIGIN_THENABLE  /* calls a __then */
};

/* --- Queues -------------------------------------------------------------------- */

typedef struct halo_entry {
  void *p;
  int kind; /* enum entry_kind */
  int slot;
} halo_entry;

enum entry_kind {
  ENTRY_START,     /* a callback's first run: the record */
  ENTRY_SPAWN,     /* a Task's: slot keeps the task_object */
  ENTRY_RESUME,    /* a task's wait is over */
  ENTRY_INTERRUPT, /* a cancel came at a bad moment; slot: the task's id */
  ENTRY_REACTION,  /* slot: the reaction object */
  ENTRY_ADOPT      /* slot: a reaction object: adopts SOURCE for DERIVED */
};

typedef struct halo_queue {
  halo_entry *entries;
  size_t head, size, mask;
} halo_queue;

/* --- The wheel of timers --------------------------------------------------------- */

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 64, WHEEL_LEVELS = 7 };

typedef struct halo_wheel {
  bool open;
  uint64_t now; /* all before and at this time has fired */
  uint64_t armed;
  size_t refs, count;
  uint64_t bits[WHEEL_LEVELS];
  halo_timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; /* list heads */
  uv_timer_t uv;
} halo_wheel;

typedef struct user_timer user_timer;

typedef struct halo_immediates {
  bool open;
  size_t refs;
  halo_timer queue, running; /* list heads */
  uv_check_t check;
  uv_idle_t idle;
} halo_immediates;

/* --- The runtime ------------------------------------------------------------------- */

/* Fixed places on the stack of the thread that only keeps values. */
enum {
  AT_ANCHORS = 1, /* table: slot -> value */
  AT_BASE,        /* closure: the base of every task */
  AT_HANDLER,     /* closure: keeps the traceback */
  AT_SETTLE,      /* closure: settles a promise */
  AT_REJECTIONS,  /* table: list of promises */
  AT_HOOKS,       /* table: name -> function */
  AT_RAISED,      /* the error whose traceback is known … */
  AT_TRACE,       /* … and that traceback */
  AT_FUNCTIONS,   /* table: address of a C function -> its closure */
  AT_NAMES,       /* weak table: Task -> its name */
  AT_BUSY,        /* weak table: coroutine -> its frames, while it waits */
  AT_RUNTIME,     /* the runtime's userdata */
  AT_LAST = AT_RUNTIME
};

typedef struct pooled {
  lua_State *co;
  int slot;
} pooled;

enum { POOL_SIZE = 256 };

struct halo_runtime {
  const halo_class *class;
  lua_State *store; /* keeps values in fixed places; runs nothing */
  lua_State
      *scratch;    /* where callbacks prepare values, and f of protect runs */
  uv_loop_t *loop; /* malloc'ed: pool threads may outlive us at an exit */
  bool loop_open, closing, draining;
  bool in_microtasks; /* the running body has gone on as a microtask */
  bool in_close;      /* coroutine.close runs <close> variables */
  bool trace_known;   /* AT_TRACE is the traceback of AT_RAISED */
  bool stopped;       /* the loop is to end: an uncaught error, an exit */
  bool exiting;       /* os.exit was called in a task */
  bool exit_close;
  bool commanded;   /* the command's: errors end the process */
  int protecting;   /* depth of halo_protect: finalizers may run in it */
  int running_loop; /* depth of uv_run: 0 or 1 */
  int exit_code;
  int fatal_slot; /* an error that the runner of the loop is to raise */
  int nbusy;      /* entries of AT_BUSY that are suspended frames */
  unsigned turns; /* waits answered at once since the last real one */
  uint64_t started_at;

  halo_task *current;
  lua_State *running; /* the coroutine that runs, of the current task */
  halo_queue ticks, microtasks;
  halo_task tasks; /* list head */
  halo_task *free_tasks;
  size_t ntasks;
  uint64_t task_ids;
  halo_context *context; /* outside all tasks */
  halo_timer idlers;     /* list head: tasks in halo.run */

  pooled pool[POOL_SIZE];
  int npooled;

  int *free_slots;
  int nfree, nslots, slots_size;

  size_t nrejections;
  halo_site *sites[SITE_BUCKETS];
  size_t nsites, sites_limit; /* how many; when to look for unused ones */
  halo_site *last_site, *last_parent; /* the last that was asked for … */
  const char *last_source; /* … and its chunk's name, compared only */
  halo_resource resources; /* list head */
  halo_wheel wheel;
  halo_immediates immediates;
  user_timer *free_timers;
  void *timer_slabs;
  uint32_t timer_serial;
};

/* task.c */
halo_task *halo_task_take(halo_runtime *rt);
void halo_task_begin(halo_runtime *rt, halo_task *t, int n);
void halo_task_start(halo_runtime *rt, halo_task *t);
void halo_task_spawned(halo_runtime *rt, task_object *o, int slot);
void halo_task_resume(halo_runtime *rt, halo_task *t);
void halo_task_ready(halo_runtime *rt, halo_task *t);
void halo_task_drop_all(halo_runtime *rt);
int halo_open_task(lua_State *L); /* adds its functions to the table on top */
/* Pushes the Task of 't', making it if there is none.            [-0, +1, m] */
void halo_task_push(lua_State *L, halo_runtime *rt, halo_task *t);
/* Pushes 'n' + 1 values from 'first' as one that halo_unpack undoes: the
 * function alone, or a table.                                    [-0, +1, m] */
bool halo_pack(lua_State *L, int first, int n);
int halo_unpack(lua_State *S, halo_runtime *rt, int slot, bool packed);

/* runtime.c */
void halo_loop_stop(halo_runtime *rt); /* if it runs */
int halo_task_base(lua_State *L);      /* the function below every task's */
int halo_slot_take(halo_runtime *rt);  /* a slot for the table of anchors */
int halo_open_core(lua_State *L);
/* Pushes the hook of that name if there is one; nothing if not. */
bool halo_hook_push(lua_State *S, halo_runtime *rt, const char *name);
/* Runs the function and 'nargs' arguments on top of L as a task, and the loop
 * until it has ended ('all': until nothing is left).  [-(nargs+1), +n, e] */
int halo_run_outside(lua_State *L, int nargs, bool all);

/* wait.c */
int halo_open_wait(lua_State *L);
/* Raises "cannot wait inside …"; 'where' is whose stack tells it. */
int halo_cannot_wait(lua_State *L, lua_State *where);
/* Does the running code run inside a finalizer? */
bool halo_in_finalizer(lua_State *L);
/* The continuation of plain waits: gives or raises what the wait brought. */
int halo_waited(lua_State *L, int status, lua_KContext top);

/* frame.c */
int halo_open_frame(lua_State *L);
/* The innermost frame that is cancelled and not shielded from; 'whole' tells
 * whether the task itself is. */
halo_frame *halo_cancelled(const halo_task *t, bool *whole);
/* Ends the current wait with ECANCELED, if the task is to be cancelled. */
void halo_interrupt(halo_task *t);
/* Pushes the ECANCELED error of the task.                        [-0, +1, m] */
void halo_push_canceled(lua_State *L, halo_task *t);
/* A coroutine is left by, or entered again after, a user's own yield: the
 * frames that it has set above 'base' leave the task with it. */
void halo_frames_suspend(lua_State *L, halo_task *t, halo_frame *base,
                         lua_State *co);
void halo_frames_resume(lua_State *L, halo_task *t, lua_State *co);
/* Runs the function at index 3 in the frame at 1 (handler at 2). */
int halo_frame_call(lua_State *L, halo_frame *f);
halo_frame *halo_frame_new(lua_State *L, int kind);
/* Clears its timer and lets its contexts go; twice is no error. */
void halo_frame_end(halo_frame *f);
/* The task goes on in the context of the frame. */
void halo_frame_set_context(halo_task *t, halo_frame *f);
/* Ends the frames of a suspended coroutine that is to be closed. */
void halo_frames_drop(lua_State *L, lua_State *co);

/* drain.c */
void halo_enqueue(halo_queue *q, void *p, int kind, int slot);

/* promise.c */
int halo_open_promise(lua_State *L);
void halo_promise_end(halo_runtime *rt, halo_task *t, bool failed, int n);
/* Pushes the values (or the reason) of the settled promise at 'index'. */
int halo_promise_push_values(lua_State *L, int index);
void halo_reaction_run(halo_runtime *rt, int slot);
void halo_adopt_run(halo_runtime *rt, int slot);
bool halo_rejections_run(halo_runtime *rt);
int halo_settle(lua_State *L);

/* timers.c */
int halo_open_timers(lua_State *L);
void halo_timers_close(halo_runtime *rt);
void halo_timers_free(halo_runtime *rt);
void halo_timer_insert(halo_runtime *rt, halo_timer *t, uint64_t ms);
void halo_timer_remove(halo_runtime *rt, halo_timer *t);
void halo_immediate_add(halo_runtime *rt, halo_timer *t);
void halo_immediate_remove(halo_runtime *rt, halo_timer *t);
void halo_timers_list(lua_State *L, halo_runtime *rt);

/* Whether a timer, set or not, keeps the loop alive. */
void halo_timer_set_ref(halo_runtime *rt, halo_timer *t, bool ref);

enum { HALO_TIMER_SLEEP = HALO_TIMER_USER + 1, HALO_TIMER_YIELD };

/* trace.c */
int halo_handler(lua_State *L); /* the message handler of tasks */
/* Makes the value on top of L the one whose traceback, the string below it or
 * nil, is known.                                               [-2, +0, -] */
void halo_trace_set(lua_State *L, halo_runtime *rt);
/* Pushes the known traceback of the value at 'index', or nil. [-0, +1, -] */
void halo_trace_push(lua_State *L, halo_runtime *rt, int index);
/* Takes the last line, that of the base of a task, off the traceback on top. */
void halo_trace_drop_base(lua_State *L);
int halo_open_trace(lua_State *L);

/* coroutine.c */
int halo_open_coroutine(lua_State *L);

/* context.c */
int halo_open_context(lua_State *L);

/* resource.c */
int halo_open_resource(lua_State *L);

/* error.c */
int halo_open_error(lua_State *L);

/* buffer.c */
int halo_open_buffer(lua_State *L);

/* Pushes the value of one of the fixed places.                   [-0, +1, -] */
void halo_fixed_push(lua_State *L, halo_runtime *rt, int at);

/* Pushes the function 'f' with the runtime as its upvalue 1.     [-0, +1, m] */
void halo_pushfunction(lua_State *L, halo_runtime *rt, lua_CFunction f);

/* Raises once the runtime is shut down: finalizers may still call us. */
void halo_check_open(lua_State *L, halo_runtime *rt);
/* Raises unless the value at 'index' can be called.              [-0, +0, v] */
void halo_check_callable(lua_State *L, int index);
/* Pushes the closure of 'f' from outside of any protected call.  [-0, +1, -] */
void halo_pushknown(lua_State *S, halo_runtime *rt, lua_CFunction f);

/* Gives up: memory for the runtime's own queues ran out. */
void *halo_alloc(void *p, size_t size);

#endif
