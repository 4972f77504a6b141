#define _GNU_SOURCE
#include "ckernels.h"
#include <errno.h>
#include <stdlib.h>

#if defined(__linux__)
#include <dirent.h>
#include <sched.h>
#include <sys/types.h>

// More than any kernel has.
enum { sft_cpu_limit = 1 << 18 };

// A thread's mask (0: the caller's), to be freed, and its size in CPUs; NULL with errno where the system does not say.
static cpu_set_t *sft_mask(pid_t thread, int *size) {
  // The kernel refuses what has less room than it has CPUs, so the size is found by trying.
  for (*size = CPU_SETSIZE; *size <= sft_cpu_limit; *size *= 2) {
    cpu_set_t *set = CPU_ALLOC(*size);
    if (!set) return NULL;
    CPU_ZERO_S(CPU_ALLOC_SIZE(*size), set);
    if (sched_getaffinity(thread, CPU_ALLOC_SIZE(*size), set) == 0) return set;
    int error = errno;
    CPU_FREE(set);
    errno = error;
    if (error != EINVAL) return NULL;
  }
  return NULL;
}

// Whether the thread's mask is `set`, of so many CPUs.
static int sft_has_mask(pid_t thread, const cpu_set_t *set, int size) {
  int own_size;
  cpu_set_t *own = sft_mask(thread, &own_size);
  if (!own) return 0;
  int equal = 1, larger = own_size > size ? own_size : size;
  for (int cpu = 0; cpu < larger && equal; cpu++) {
    int here = cpu < own_size && CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(own_size), own);
    int there = cpu < size && CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(size), set);
    equal = !here == !there;
  }
  CPU_FREE(own);
  return equal;
}

// Sets the mask of the process's threads that have another. Returns how many there were, or −1 with errno.
static int sft_mask_threads(const cpu_set_t *set, int size) {
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return 0;
  int changed = 0;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
    if (thread <= 0 || sft_has_mask(thread, set, size)) continue;
    // A thread may end meanwhile.
    if (sched_setaffinity(thread, CPU_ALLOC_SIZE(size), set) != 0 && errno != ESRCH) {
      int error = errno;
      closedir(tasks);
      errno = error;
      return -1;
    }
    changed++;
  }
  closedir(tasks);
  return changed;
}

int sft_affinity(int *cpus, int capacity) {
  int size, count = 0;
  cpu_set_t *set = sft_mask(0, &size);
  if (!set) return 0;
  for (int cpu = 0; cpu < size; cpu++) {
    if (!CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(size), set)) continue;
    if (count < capacity) cpus[count] = cpu;
    count++;
  }
  CPU_FREE(set);
  return count;
}

int sft_set_affinity(const int *cpus, int count) {
  int size = CPU_SETSIZE;
  for (int i = 0; i < count; i++) {
    if (cpus[i] < 0 || cpus[i] >= sft_cpu_limit) return EINVAL;
    while (cpus[i] >= size) size *= 2;
  }
  cpu_set_t *set = CPU_ALLOC(size);
  if (!set) return ENOMEM;
  CPU_ZERO_S(CPU_ALLOC_SIZE(size), set);
  for (int i = 0; i < count; i++) CPU_SET_S(cpus[i], CPU_ALLOC_SIZE(size), set);
  int error = sched_setaffinity(0, CPU_ALLOC_SIZE(size), set) == 0 ? 0 : errno;
  // A thread that had not been reached yet may have started another, which then has the old mask. A CPU that is offline or
  // forbidden stays out of the masks, which then never equal `set`: hence not for ever.
  for (int pass = 0, changed = 1; pass < 4 && changed > 0 && error == 0; pass++) {
    changed = sft_mask_threads(set, size);
    if (changed < 0) error = errno;
  }
  CPU_FREE(set);
  return error;
}
#else
int sft_affinity(int *cpus, int capacity) { return (void)cpus, (void)capacity, 0; }
int sft_set_affinity(const int *cpus, int count) { return (void)cpus, (void)count, ENOSYS; }
#endif

#if defined(__GLIBC__)
#include <malloc.h>
void sft_trim_heap(void) { malloc_trim(0); }
#else
void sft_trim_heap(void) {}
#endif
