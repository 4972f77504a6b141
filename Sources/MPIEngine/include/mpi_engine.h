#ifndef SFT_MPI_ENGINE_H
#define SFT_MPI_ENGINE_H

#include "rank_engine.h"

// NULL where it was built without MPI.
const sft_rank_engine *sft_rank_engine_table(void);

#endif
