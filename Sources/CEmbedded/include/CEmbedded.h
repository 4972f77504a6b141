#ifndef SFT_CEMBEDDED_H
#define SFT_CEMBEDDED_H

#include <stddef.h>

/// A file of the embedded model. Its bytes are in the program's read-only data.
typedef struct {
  const char *name;
  const void *bytes;
  size_t size;
} sft_embedded_file;

/// The files, sorted by name; NULL from their count on.
const sft_embedded_file *sft_embedded_file_at(size_t index);

#endif
