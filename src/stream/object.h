/* The Lua object of a stream: a reader and a queue of writers over it. What
 * the files of this folder share; others see stream.h. */
#ifndef HALO_STREAM_OBJECT_H
#define HALO_STREAM_OBJECT_H

#include "stream/reader.h"
#include "stream/stream.h"

typedef struct halo_writer halo_writer; /* a task that waits to write */

typedef struct halo_streamobject {
  halo_readable readable;
  halo_stream *stream; /* NULL: closed, or taken */
  halo_reader reader;
  halo_writer *first, *last; /* all wait for the same: an empty queue */
  uint64_t bytes_read, bytes_written; /* of a closed one */
  uint64_t read_since, write_since;   /* ms: when a byte last moved */
  uint64_t timeout;                   /* ms; 0: none */
  size_t queued;                      /* at write_since */
  halo_calltimer timer;
  int write_status; /* what broke the writing side */
  bool finished;    /* … or it was ended */
  uint8_t waits;    /* reading 1, writing 2 */
  /* A server's handler, which runs: */
  struct halo_site *site;
  int slot; /* keeps the object */
} halo_streamobject;

/* Ends it: close(), __close, __gc and a handler's end; twice is no error. */
void halo_streamobject_close(halo_streamobject *o);

/* acceptor.c: makes its classes in this state.               [-0, +0, m] */
void halo_acceptor_register(lua_State *L);

#endif
