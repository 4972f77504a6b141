#include "ckernels.h"

#if defined(__x86_64__)
// OpenBLAS's own (exported) start-up of its run-time kernel choice; weak, because a build for one CPU has neither.
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));

int sft_blas_reload(void) {
  if (!gotoblas_dynamic_quit || !gotoblas_dynamic_init) return 0;
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  return 1;
}

int sft_cpu_level(void) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return 4;
  if (__builtin_cpu_supports("x86-64-v3")) return 3;
  return 1;
}
#else
int sft_cpu_level(void) { return 0; }
#endif
