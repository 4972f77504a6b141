#define _GNU_SOURCE
#include "CProcess.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Read by the signal handler while others write: `start` is set last and cleared first.
typedef struct {
  _Atomic uintptr_t start;  // 0: free; BUSY: being changed
  size_t bytes;
  char *path;
} mapping;

enum { CAPACITY = 1024, BUSY = 1 };
static mapping mappings[CAPACITY];

int sft_note_mapping(const void *start, size_t bytes, const char *path) {
  for (int number = 0; number < CAPACITY; number++) {
    uintptr_t unused = 0;
    if (!atomic_compare_exchange_strong(&mappings[number].start, &unused, BUSY)) continue;
    mappings[number].bytes = bytes;
    mappings[number].path = strdup(path);
    atomic_store(&mappings[number].start, (uintptr_t)start);
    return number;
  }
  return -1;
}

void sft_forget_mapping(int number) {
  if (number < 0) return;
  atomic_store(&mappings[number].start, BUSY);
  free(mappings[number].path);
  mappings[number].path = NULL;
  atomic_store(&mappings[number].start, 0);
}

static void say(const char *text) {
  size_t rest = strlen(text);
  while (rest > 0) {
    ssize_t written = write(STDERR_FILENO, text, rest);
    if (written <= 0) return;
    text += written;
    rest -= (size_t)written;
  }
}

// Set by the thread that tells.
static atomic_flag told = ATOMIC_FLAG_INIT;

// Only what a signal handler may do.
static void unreadable(int number, siginfo_t *info, void *context) {
  (void)context;
  uintptr_t address = (uintptr_t)info->si_addr;
  for (int i = 0; i < CAPACITY; i++) {
    uintptr_t start = atomic_load(&mappings[i].start);
    if (start <= BUSY || address < start || address - start >= mappings[i].bytes) continue;
    // Other threads may come to the same place: one tells, and ends them all.
    if (atomic_flag_test_and_set(&told))
      for (;;) pause();
    // The line that a progress bar is on.
    if (isatty(STDERR_FILENO)) say("\n");
    say("error: ");
    say(mappings[i].path ? mappings[i].path : "a file");
    say(": can no longer be read: it was cut short while it was in use, or its disk fails. Put it back as it was, and run "
        "the command again.\n");
    _exit(74);
  }
  // Not a file of ours: it happens again, and ends the process as ever.
  signal(number, SIG_DFL);
}

void sft_watch_mappings(void) {
  struct sigaction action = {0};
  action.sa_sigaction = unreadable;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, NULL);
}
