// A library to be preloaded: kills the process just before a write, or lets the disk be full from there on.
//
//   FAULT_MATCH  writes to paths that contain this are counted, from 1
//   FAULT_LOG    file to which a line is added for each: the call and the path
//   FAULT_KILL   number of the write before which the process is killed
//   FAULT_FULL   number of the write from which on there is no space
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int writes;
static char opened[1024][256];

static int number(const char *name) {
  const char *value = getenv(name);
  return value ? atoi(value) : 0;
}

// Whether the call is to fail for want of space.
static int fault(const char *call, const char *path, int takes_space) {
  const char *match = getenv("FAULT_MATCH");
  if (!match || !path || !strstr(path, match)) return 0;
  int count = atomic_fetch_add(&writes, 1) + 1;
  const char *log = getenv("FAULT_LOG");
  if (log) {
    char line[512];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    long descriptor = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    syscall(SYS_write, descriptor, line, length);
    syscall(SYS_close, descriptor);
  }
  if (count == number("FAULT_KILL")) kill(getpid(), SIGKILL);
  int full = number("FAULT_FULL");
  if (!takes_space || !full || count < full) return 0;
  errno = ENOSPC;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int open_file(const char *path, int flags, mode_t mode) {
  if ((flags & O_CREAT) && access(path, F_OK) != 0 && fault("open", path, 1)) return -1;
  long descriptor = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (descriptor >= 0 && descriptor < 1024) snprintf(opened[descriptor], 256, "%s", (flags & O_ACCMODE) ? path : "");
  return (int)descriptor;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(path, flags, mode);
}

static const char *path_of(int descriptor) { return descriptor >= 0 && descriptor < 1024 ? opened[descriptor] : ""; }

ssize_t write(int descriptor, const void *bytes, size_t count) {
  if (fault("write", path_of(descriptor), 1)) return -1;
  return NEXT(write)(descriptor, bytes, count);
}

// A kill before it leaves what a kill before the next call does, so it is not counted.
int fsync(int descriptor) {
  int full = number("FAULT_FULL");
  if (full && *path_of(descriptor) && atomic_load(&writes) >= full && strstr(path_of(descriptor), getenv("FAULT_MATCH"))) {
    errno = ENOSPC;
    return -1;
  }
  return NEXT(fsync)(descriptor);
}

int close(int descriptor) {
  if (descriptor >= 0 && descriptor < 1024) opened[descriptor][0] = 0;
  return NEXT(close)(descriptor);
}

int mkdir(const char *path, mode_t mode) { return fault("mkdir", path, 1) ? -1 : NEXT(mkdir)(path, mode); }

int rename(const char *from, const char *to) { return fault("rename", to, 1) ? -1 : NEXT(rename)(from, to); }

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
  return fault("exchange", to, 1) ? -1 : NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) { return fault("unlink", path, 0) ? -1 : NEXT(unlink)(path); }

int rmdir(const char *path) { return fault("rmdir", path, 0) ? -1 : NEXT(rmdir)(path); }
