// Rows of 16-bit weights with one x, or with a few at once, for which each weight is then decoded once.
#include "half_rows.h"

#include "lanes.h"

int sft_half_most_rows(int level) { return level >= 3 ? 8 : 1; }

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define TARGET_INLINE TARGET static inline __attribute__((always_inline))

enum { kLanes = 16, kSums = 18, kRows = 8, kAhead = 2048 };

// 16 weights, or as many as `mask` has bits, zeros for the rest.
TARGET_INLINE __m512 weights(const uint16_t *w, __mmask16 mask, int is_bfloat16) {
  __m256i bits = _mm256_maskz_loadu_epi16(mask, w);
  return is_bfloat16 ? _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)) : _mm512_cvtph_ps(bits);
}

// Inlined with constants, so that `sums` are registers.
TARGET_INLINE void tile(const uint16_t *w, size_t w_row, size_t width, const float *x, size_t x_row, size_t rows,
                        size_t count, int is_bfloat16, float *y, size_t y_row, int accumulate) {
  __m512 sums[kSums];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows * count; i++) sums[i] = _mm512_setzero_ps();
  for (size_t from = 0; from < width; from += kLanes) {
    __mmask16 mask = width - from < kLanes ? (__mmask16)((1u << (width - from)) - 1) : (__mmask16)0xffff;
    __m512 some[kRows];
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) {
      some[row] = weights(w + row * w_row + from, mask, is_bfloat16);
      _mm_prefetch((const char *)(w + row * w_row + from) + kAhead, _MM_HINT_T0);
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < count; i++) {
      __m512 values = _mm512_maskz_loadu_ps(mask, x + i * x_row + from);
#pragma clang loop unroll(full)
      for (size_t row = 0; row < rows; row++)
        sums[row * count + i] = _mm512_fmadd_ps(some[row], values, sums[row * count + i]);
    }
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++)
#pragma clang loop unroll(full)
    for (size_t i = 0; i < count; i++) {
      float product = _mm512_reduce_add_ps(sums[row * count + i]), *place = y + i * y_row + row;
      *place = accumulate ? *place + product : product;
    }
}

// `full` rows at a time by `first` x, then by the others, where there are more than registers for: what the rows are is then in the
// cache.
#define TILE_OF_ALL(tile, rows, is_bfloat16, count, first)                                                             \
  tile(w + row * w_row, w_row, width, x, x_row, rows, first, is_bfloat16, y + row, y_row, accumulate);                 \
  if ((count) > (first))                                                                                               \
  tile(w + row * w_row, w_row, width, x + (first) * x_row, x_row, rows, (count) - (first), is_bfloat16,                \
       y + (first) * y_row + row, y_row, accumulate)
#define TILES(TARGET, tile, count, full, first)                                                                        \
  TARGET static void tile##_##count(const uint16_t *w, size_t w_row, size_t rows, size_t width, const float *x,        \
                                    size_t x_row, int is_bfloat16, float *y, size_t y_row, int accumulate) {           \
    size_t row = 0;                                                                                                    \
    for (; row + (full) <= rows; row += (full))                                                                        \
      if (is_bfloat16) {                                                                                               \
        TILE_OF_ALL(tile, full, 1, count, first);                                                                      \
      } else {                                                                                                         \
        TILE_OF_ALL(tile, full, 0, count, first);                                                                      \
      }                                                                                                                \
    for (; row < rows; row++) { TILE_OF_ALL(tile, 1, is_bfloat16, count, first); }                                     \
  }
TILES(TARGET, tile, 1, 1, 1)
TILES(TARGET, tile, 2, 4, 2)
TILES(TARGET, tile, 3, 4, 3)
TILES(TARGET, tile, 4, 4, 4)
TILES(TARGET, tile, 5, 3, 5)
TILES(TARGET, tile, 6, 3, 6)
TILES(TARGET, tile, 7, 2, 7)
TILES(TARGET, tile, 8, 2, 8)

// With vectors of 256 bits.
#define TARGET_256 __attribute__((target("arch=x86-64-v3")))
#define TARGET_256_INLINE TARGET_256 static inline __attribute__((always_inline))

enum { kLanes256 = 8, kSums256 = 12 };

// Adds the products of eight columns to the sums.
TARGET_256_INLINE void add_columns(__m256 *sums, const uint16_t *w, size_t w_row, const float *x, size_t x_row, size_t rows,
                                   size_t count, int is_bfloat16) {
  __m256 some[kRows];
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++) {
    __m128i bits = _mm_loadu_si128((const __m128i *)(w + row * w_row));
    some[row] = is_bfloat16 ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)) : _mm256_cvtph_ps(bits);
  }
#pragma clang loop unroll(full)
  for (size_t i = 0; i < count; i++) {
    __m256 values = _mm256_loadu_ps(x + i * x_row);
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++)
      sums[row * count + i] = _mm256_fmadd_ps(some[row], values, sums[row * count + i]);
  }
}

TARGET_256_INLINE void tile_256(const uint16_t *w, size_t w_row, size_t width, const float *x, size_t x_row, size_t rows,
                                size_t count, int is_bfloat16, float *y, size_t y_row, int accumulate) {
  __m256 sums[kSums256];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows * count; i++) sums[i] = _mm256_setzero_ps();
  size_t from = 0;
  for (; from + kLanes256 <= width; from += kLanes256) {
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) _mm_prefetch((const char *)(w + row * w_row + from) + kAhead, _MM_HINT_T0);
    add_columns(sums, w + from, w_row, x + from, x_row, rows, count, is_bfloat16);
  }
  if (from < width) {
    // What is left, with zeros to a vector.
    uint16_t last_w[kRows * kLanes256] = {0};
    float last_x[kRows * kLanes256] = {0};
    for (size_t column = from; column < width; column++) {
      for (size_t row = 0; row < rows; row++) last_w[row * kLanes256 + column - from] = w[row * w_row + column];
      for (size_t i = 0; i < count; i++) last_x[i * kLanes256 + column - from] = x[i * x_row + column];
    }
    add_columns(sums, last_w, kLanes256, last_x, kLanes256, rows, count, is_bfloat16);
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++)
#pragma clang loop unroll(full)
    for (size_t i = 0; i < count; i++) {
      float product = sum_of_lanes(sums[row * count + i]), *place = y + i * y_row + row;
      *place = accumulate ? *place + product : product;
    }
}

TILES(TARGET_256, tile_256, 1, 4, 1)
TILES(TARGET_256, tile_256, 2, 4, 2)
TILES(TARGET_256, tile_256, 3, 3, 3)
TILES(TARGET_256, tile_256, 4, 3, 4)
TILES(TARGET_256, tile_256, 5, 2, 5)
TILES(TARGET_256, tile_256, 6, 2, 6)
TILES(TARGET_256, tile_256, 7, 3, 4)
TILES(TARGET_256, tile_256, 8, 3, 4)

#define ALL(tile) {tile##_1, tile##_2, tile##_3, tile##_4, tile##_5, tile##_6, tile##_7, tile##_8}

void sft_half_few_rows(int level, const uint16_t *w, size_t w_row, size_t rows, size_t width, int is_bfloat16,
                       const float *x, size_t x_row, size_t count, float *y, size_t y_row, int accumulate) {
  static void (*const products[2][8])(const uint16_t *, size_t, size_t, size_t, const float *, size_t, int, float *, size_t,
                                      int) = {ALL(tile_256), ALL(tile)};
  products[level >= 4][count - 1](w, w_row, rows, width, x, x_row, is_bfloat16, y, y_row, accumulate);
}
#else
void sft_half_few_rows(int level, const uint16_t *w, size_t w_row, size_t rows, size_t width, int is_bfloat16,
                       const float *x, size_t x_row, size_t count, float *y, size_t y_row, int accumulate) {
  (void)level, (void)w, (void)w_row, (void)rows, (void)width, (void)is_bfloat16, (void)x, (void)x_row, (void)count;
  (void)y, (void)y_row, (void)accumulate;
  __builtin_trap();
}
#endif
