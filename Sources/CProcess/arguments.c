#include "CProcess.h"
// Defines __GLIBC__, where it is that.
#include <stdlib.h>

static char **arguments;
static int argument_count;

// glibc calls constructors with what main gets.
#if defined(__GLIBC__)
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
  argument_count = count;
  arguments = values;
}
#endif

char **sft_arguments(int *count) {
  *count = argument_count;
  return arguments;
}
