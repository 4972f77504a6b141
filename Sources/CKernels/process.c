#define _GNU_SOURCE
#include "ckernels.h"
#include <sched.h>

int sft_allowed_cpus(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return 0;
}

#if defined(__GLIBC__)
#include <malloc.h>
void sft_trim_heap(void) { malloc_trim(0); }
#else
void sft_trim_heap(void) {}
#endif
