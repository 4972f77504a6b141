#include "rank_engine.h"

#include <dlfcn.h>
#include <stdio.h>

const sft_rank_engine *sft_load_rank_engine(const char *path, char *message, size_t message_size) {
  // Plug-ins that an MPI library loads itself look for its symbols among the process's own.
  void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    snprintf(message, message_size, "%s", dlerror());
    return NULL;
  }
  sft_rank_engine_getter get;
  // ISO C has no conversion from an object's pointer to a function's; POSIX has.
  *(void **)&get = dlsym(library, "sft_rank_engine_table");
  const sft_rank_engine *engine = get ? get() : NULL;
  if (!engine) {
    snprintf(message, message_size, get ? "it was built without MPI" : "it is not one of sft's");
    return NULL;
  }
  if (engine->version != SFT_RANK_ENGINE_VERSION) {
    snprintf(message, message_size, "it belongs to another version of sft");
    return NULL;
  }
  return engine;
}
