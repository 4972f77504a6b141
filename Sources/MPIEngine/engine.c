// The table of rank_engine.h over MPI: any implementation of MPI 3.
#include "mpi_engine.h"

#ifdef SFT_MPI
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

// Counts are ints in MPI: what is larger is sent as so many bytes at most, several of them together being a request.
#define PIECE ((size_t)1 << 26)

typedef struct {
  MPI_Request *pieces;
  int count;
  int done;
  int is_used;
} request;

static request *requests;
static int request_count;
static MPI_Comm world;

static int start(int *rank, int *count, char *message, size_t message_size) {
  int provided = 0;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
    snprintf(message, message_size, "MPI does not start");
    return -1;
  }
  if (provided < MPI_THREAD_SERIALIZED) {
    snprintf(message, message_size, "this MPI cannot be used from several threads in turn");
    return -1;
  }
  // A communicator of our own, whose errors are returned and not the end of the process.
  if (MPI_Comm_dup(MPI_COMM_WORLD, &world) != MPI_SUCCESS) {
    snprintf(message, message_size, "MPI makes no communicator");
    return -1;
  }
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  MPI_Comm_rank(world, rank);
  MPI_Comm_size(world, count);
  return 0;
}

static void finish(void) {
  MPI_Comm_free(&world);
  MPI_Finalize();
}

static void end_all(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

// A free request with room for `count` pieces, or < 0.
static int take(int count) {
  int place = 0;
  while (place < request_count && requests[place].is_used) place++;
  if (place == request_count) {
    int grown_count = request_count ? 2 * request_count : 64;
    request *grown = realloc(requests, (size_t)grown_count * sizeof *grown);
    if (!grown) return -1;
    requests = grown;
    for (int i = request_count; i < grown_count; i++) requests[i] = (request){0};
    request_count = grown_count;
  }
  MPI_Request *pieces = malloc((size_t)count * sizeof *pieces);
  if (!pieces) return -1;
  requests[place] = (request){pieces, count, 0, 1};
  return place;
}

static int begin(void *bytes, size_t size, int rank, int tag, int sends) {
  size_t count = size ? (size + PIECE - 1) / PIECE : 1;
  if (count > INT_MAX) return -1;
  int place = take((int)count);
  if (place < 0) return place;
  for (size_t i = 0; i < count; i++) {
    size_t first = i * PIECE, length = size - first < PIECE ? size - first : PIECE;
    MPI_Request *piece = &requests[place].pieces[i];
    char *start = (char *)bytes + first;
    int result = sends ? MPI_Isend(start, (int)length, MPI_BYTE, rank, tag, world, piece)
                       : MPI_Irecv(start, (int)length, MPI_BYTE, rank, tag, world, piece);
    if (result != MPI_SUCCESS) return -1;
  }
  return place;
}

static int send_bytes(const void *bytes, size_t size, int rank, int tag) {
  return begin((void *)bytes, size, rank, tag, 1);
}

static int receive_bytes(void *bytes, size_t size, int rank, int tag) { return begin(bytes, size, rank, tag, 0); }

static int is_done(int place) {
  if (place < 0 || place >= request_count || !requests[place].is_used) return -1;
  request *r = &requests[place];
  // In order: the first that is not done says that not all are.
  while (r->done < r->count) {
    int flag = 0;
    if (MPI_Test(&r->pieces[r->done], &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS) return -1;
    if (!flag) return 0;
    r->done++;
  }
  free(r->pieces);
  *r = (request){0};
  return 1;
}

static int arrived(int tag, int *rank, size_t *size) {
  int flag = 0, count = 0;
  MPI_Status status;
  if (MPI_Iprobe(MPI_ANY_SOURCE, tag, world, &flag, &status) != MPI_SUCCESS) return -1;
  if (!flag) return 0;
  if (MPI_Get_count(&status, MPI_BYTE, &count) != MPI_SUCCESS || count < 0) return -1;
  *rank = status.MPI_SOURCE;
  *size = (size_t)count;
  return 1;
}

static const sft_rank_engine engine = {
    SFT_RANK_ENGINE_VERSION, start, finish, end_all, send_bytes, receive_bytes, is_done, arrived,
};

const sft_rank_engine *sft_rank_engine_table(void) { return &engine; }

#else

const sft_rank_engine *sft_rank_engine_table(void) { return NULL; }

#endif
