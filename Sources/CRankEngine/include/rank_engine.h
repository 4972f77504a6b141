// What a library that carries messages between the processes of a training has to offer: a table of functions, which sft
// loads at run time. It is all that sft knows of MPI, so that one binary runs with any MPI, and without one.
#ifndef SFT_RANK_ENGINE_H
#define SFT_RANK_ENGINE_H

#include <stddef.h>

// Raised with every change of the table.
#define SFT_RANK_ENGINE_VERSION 1

// Messages are bytes from one rank to another with a tag; those of one sender with one tag arrive in order. No function may be
// called while another runs; which thread calls has no part in it, but for `start` and `finish`, which are one thread's.
typedef struct sft_rank_engine {
  int version;
  // Joins the other processes. 0, or an error with its text in `message`.
  int (*start)(int *rank, int *count, char *message, size_t message_size);
  // Leaves them, once all do.
  void (*finish)(void);
  // Ends all processes; may return before they are gone.
  void (*abort)(int code);
  // Begins to send `size` bytes, which have to stay as they are until it is done. Gives a request, or < 0.
  int (*send)(const void *bytes, size_t size, int rank, int tag);
  // Begins to receive `size` bytes. Gives a request, or < 0.
  int (*receive)(void *bytes, size_t size, int rank, int tag);
  // Whether a request is done, which is then free: 1, 0, or < 0 for an error.
  int (*is_done)(int request);
  // Size of a message of any sender with that tag that has arrived and nobody has begun to receive: 1 with `rank` and `size`, 0
  // for none, or < 0.
  int (*arrived)(int tag, int *rank, size_t *size);
} sft_rank_engine;

// The table of a library that was loaded; NULL where it was built without MPI. It is the one function that the library exports.
typedef const sft_rank_engine *(*sft_rank_engine_getter)(void);

// Loads the library at `path` and asks it for its table. NULL with the reason in `message`, ended by 0.
const sft_rank_engine *sft_load_rank_engine(const char *path, char *message, size_t message_size);

#endif
