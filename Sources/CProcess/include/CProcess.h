// What the C library and the kernel tell a process about itself, as Swift does not.
#ifndef CPROCESS_H
#define CPROCESS_H

#include <stddef.h>

// The process's arguments, from its start-up and not from /proc, which may not be there; NULL where the C library does
// not hand them to constructors.
char **sft_arguments(int *count);

// Mapped files that may be shortened by others. Reading beyond the new end raises SIGBUS, of which the handler makes one
// line that names the file, and exit code 74 (EX_IOERR).
void sft_watch_mappings(void);
// A number for sft_forget_mapping; -1 where there is no room: such a file's error does not name it.
int sft_note_mapping(const void *start, size_t bytes, const char *path);
void sft_forget_mapping(int number);

#endif
