// Rows of blocks times a few x: each weight is decoded once for them, in registers.
#include "ggml_block.h"
#include "lanes.h"

int sft_blocks_most_rows(int level) { return level >= 4 ? 8 : 1; }

#ifdef SFT_X86_VECTORS
SFT_TARGET_512 static inline __attribute__((always_inline)) float sum_512(vector_512 lanes) {
  return _mm512_reduce_add_ps((__m512)lanes);
}

SFT_256_INLINE float sum_256(vector_256 lanes) {
  return sum_of_lanes((__m256)lanes);
}

#define LEVEL(name) name##_512
#define TARGET SFT_TARGET_512
#define LANES 16
#define SUM sum_512
#include "ggml_block_tile.h"
#undef LEVEL
#undef TARGET
#undef LANES
#undef SUM

#define LEVEL(name) name##_256
#define TARGET SFT_TARGET_256
#define LANES 8
#define SUM sum_256
#include "ggml_block_tile.h"
#undef LEVEL
#undef TARGET
#undef LANES
#undef SUM

#define OF_512(name) name##_512
#define OF_256(name) name##_256

// One x takes a row after the other: then memory is read in order, which is what bounds it. Several take two rows at a time,
// which share what is read of them.
#define ROWS(name, kind, LEVEL, TARGET, count)                                                                         \
  TARGET static void LEVEL(name##_##count)(const uint8_t *block, size_t rows, size_t blocks, const float *x,           \
                                           size_t x_row, float *y, size_t y_row, int accumulate) {                     \
    size_t row = 0, bytes = blocks * (size_t)BYTES_OF(kind);                                                           \
    for (; (count) > 1 && row + 2 <= rows; row += 2)                                                                   \
      LEVEL(tile)(kind, block + row * bytes, blocks, x, x_row, 2, count, y + row, y_row, accumulate);                  \
    for (; row < rows; row++)                                                                                          \
      LEVEL(tile)(kind, block + row * bytes, blocks, x, x_row, 1, count, y + row, y_row, accumulate);                  \
  }
#define ALL_COUNTS(name, kind)                     \
  ROWS(name, kind, OF_256, SFT_TARGET_256, 1)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 1)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 2)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 3)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 4)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 5)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 6)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 7)      \
  ROWS(name, kind, OF_512, SFT_TARGET_512, 8)
ALL_COUNTS(q4_0, SFT_Q4_0)
ALL_COUNTS(q4_1, SFT_Q4_1)
ALL_COUNTS(q8_0, SFT_Q8_0)
ALL_COUNTS(q4_k, SFT_Q4_K)
ALL_COUNTS(q5_k, SFT_Q5_K)
ALL_COUNTS(q6_k, SFT_Q6_K)

typedef void products(const uint8_t *, size_t, size_t, const float *, size_t, float *, size_t, int);
#define COUNTS_OF(name)                                                                                                \
  { name##_1_512, name##_2_512, name##_3_512, name##_4_512, name##_5_512, name##_6_512, name##_7_512, name##_8_512 }
static products *const products_512[6][8] = {COUNTS_OF(q4_0), COUNTS_OF(q4_1), COUNTS_OF(q8_0),
                                             COUNTS_OF(q4_k), COUNTS_OF(q5_k), COUNTS_OF(q6_k)};
static products *const products_256[6] = {q4_0_1_256, q4_1_1_256, q8_0_1_256, q4_k_1_256, q5_k_1_256, q6_k_1_256};
#endif

// Without the instructions: decoded piece by piece into memory on the stack, then multiplied.
static float row_product(int kind, const uint8_t *blocks, size_t first, size_t width, const float *x) {
  enum { kPiece = 512, kSums = 8 };
  float piece[kPiece], sums[kSums] = {0}, sum = 0;
  for (size_t done = 0; done < width; done += kPiece) {
    size_t count = width - done < kPiece ? width - done : kPiece;
    sft_blocks_decode(1, kind, blocks, first + done, count, piece);
    for (size_t i = 0; i < count; i += kSums)
      for (size_t j = 0; j < kSums; j++) sums[j] += piece[i + j] * x[done + i + j];
  }
  for (size_t j = 0; j < kSums; j++) sum += sums[j];
  return sum;
}

void sft_blocks_multiply(int level, int kind, const uint8_t *blocks, size_t rows, size_t width, const float *x,
                         size_t x_row, size_t count, float *y, size_t y_row, int accumulate) {
#ifdef SFT_X86_VECTORS
  size_t row_blocks = width / LENGTH_OF(kind);
  if (level >= 4) {
    products_512[kind][count - 1](blocks, rows, row_blocks, x, x_row, y, y_row, accumulate);
    return;
  }
  if (level == 3) {
    for (size_t i = 0; i < count; i++)
      products_256[kind](blocks, rows, row_blocks, x + i * x_row, x_row, y + i * y_row, y_row, accumulate);
    return;
  }
#endif
  (void)level;
  for (size_t i = 0; i < count; i++)
    for (size_t row = 0; row < rows; row++) {
      float product = row_product(kind, blocks, row * width, width, x + i * x_row), *place = y + i * y_row + row;
      *place = accumulate ? *place + product : product;
    }
}
