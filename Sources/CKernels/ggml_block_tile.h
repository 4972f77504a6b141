// Rows of blocks times a few x, for one vector width; included once a level, with what ggml_block_runs.h was included with, and
//   SUM(lanes)   the sum of a vector's lanes

// Adds a run of a long block, or `blocks` short ones, of `rows` rows to their sums with `count` x. A row has several sums, so
// that one does not wait for the other; but one that scaled sums of runs are added to, where runs have one scale.
TARGET static inline __attribute__((always_inline)) void LEVEL(add_run)(int kind, const uint8_t *block, int blocks,
                                                                        size_t row_bytes, const LEVEL(scales) *scales,
                                                                        int run, const float *x, size_t x_row,
                                                                        size_t rows, size_t count,
                                                                        LEVEL(vector) *sums) {
  enum { kRows = 2, kVectors = 64 / LANES, kSums = 32 / LANES };
  const int each = RUN_OF(kind) / LANES, vectors = blocks * each;
  LEVEL(vector) weights[kRows][kVectors];
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++)
#pragma clang loop unroll(full)
    for (int i = 0; i < blocks; i++)
      LEVEL(decode_run)(kind, block + row * row_bytes + i * BYTES_OF(kind), scales + row, run + i,
                        !HAS_ONE_SCALE(kind), weights[row] + i * each);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < count; i++) {
    const float *place = x + i * x_row;
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) {
      LEVEL(vector) *some = sums + kSums * (row * count + i);
      if (HAS_ONE_SCALE(kind)) {
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j += each) {
          LEVEL(vector) sum = weights[row][j] * *(const LEVEL(vector) *)(place + j * LANES);
#pragma clang loop unroll(full)
          for (int l = j + 1; l < j + each; l++)
            sum = __builtin_elementwise_fma(weights[row][l], *(const LEVEL(vector) *)(place + l * LANES), sum);
          some[0] = __builtin_elementwise_fma(sum, (LEVEL(vector))scales[row].of[run + j / each], some[0]);
        }
      } else {
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++)
          some[j % kSums] =
              __builtin_elementwise_fma(weights[row][j], *(const LEVEL(vector) *)(place + j * LANES), some[j % kSums]);
      }
    }
  }
}

// `rows` rows by `count` x. Inlined with constants, so that all vectors are registers.
TARGET static inline __attribute__((always_inline)) void LEVEL(tile)(int kind, const uint8_t *block, size_t blocks,
                                                                     const float *x, size_t x_row, size_t rows,
                                                                     size_t count, float *y, size_t y_row,
                                                                     int accumulate) {
  enum { kRows = 2, kCount = 8, kSums = 32 / LANES, kAhead = 2048, kGroup = 256, kLine = 64 };
  const size_t row_bytes = blocks * (size_t)BYTES_OF(kind), grouped = kGroup / LENGTH_OF(kind);
  LEVEL(vector) sums[kSums * kRows * kCount];
  LEVEL(scales) scales[2][kRows];
  const size_t group_bytes = grouped * BYTES_OF(kind);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < kSums * rows * count; i++) sums[i] = 0;
  // Of several rows, to the same place of the next ones.
  const size_t prefetched = rows == 1 ? kAhead : rows * row_bytes;
  // A group's scales are read while the one before it is multiplied.
#pragma clang loop unroll(full)
  for (size_t row = 0; blocks >= grouped && row < rows; row++)
    LEVEL(read_group)(kind, block + row * row_bytes, scales[0] + row);
  for (int now = 0; blocks >= grouped; now = 1 - now, blocks -= grouped, block += group_bytes, x += kGroup) {
    const size_t ahead = blocks >= 2 * grouped ? group_bytes : 0;
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) {
      LEVEL(read_group)(kind, block + row * row_bytes + ahead, scales[1 - now] + row);
#pragma clang loop unroll(full)
      for (size_t line = 0; line < group_bytes; line += kLine)
        __builtin_prefetch(block + row * row_bytes + line + prefetched);
    }
#pragma clang loop unroll(full)
    for (int run = 0; run < kGroup / 64; run++)
      if (IS_SHORT(kind))
        LEVEL(add_run)(kind, block + 2 * run * BYTES_OF(kind), 2, row_bytes, scales[now], 2 * run, x + 64 * run, x_row,
                       rows, count, sums);
      else
        LEVEL(add_run)(kind, block, 1, row_bytes, scales[now], run, x + 64 * run, x_row, rows, count, sums);
  }
  // Short blocks that are fewer than a group.
  for (; grouped > 1 && blocks > 0; blocks--, block += BYTES_OF(kind), x += LENGTH_OF(kind)) {
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) LEVEL(read_scales)(kind, block + row * row_bytes, scales[0] + row);
    LEVEL(add_run)(kind, block, 1, row_bytes, scales[0], 0, x, x_row, rows, count, sums);
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++)
#pragma clang loop unroll(full)
    for (size_t i = 0; i < count; i++) {
      const LEVEL(vector) *some = sums + kSums * (row * count + i);
      LEVEL(vector) all = some[0] + some[1];
      if (kSums == 4) all += some[kSums - 2] + some[kSums - 1];
      float product = SUM(all), *place = y + i * y_row + row;
      *place = accumulate ? *place + product : product;
    }
}
