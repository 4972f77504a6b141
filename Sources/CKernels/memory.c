#define _GNU_SOURCE
#include <sys/mman.h>

#include "ckernels.h"

void *sft_resize_mapping(void *memory, size_t bytes, size_t to) {
  void *moved = mremap(memory, bytes, to, MREMAP_MAYMOVE);
  return moved == MAP_FAILED ? NULL : moved;
}
