// Rows of 16-bit weights with one x, or with a few at once, for which each weight is then decoded once.
#include "half_rows.h"

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

#define TILES(count, full)                                                                                             \
  TARGET static void rows_##count(const uint16_t *w, size_t w_row, size_t rows, size_t width, const float *x,          \
                                  size_t x_row, int is_bfloat16, float *y, size_t y_row, int accumulate) {            \
    size_t row = 0;                                                                                                    \
    for (; row + (full) <= rows; row += (full))                                                                        \
      if (is_bfloat16)                                                                                                 \
        tile(w + row * w_row, w_row, width, x, x_row, full, count, 1, y + row, y_row, accumulate);                     \
      else                                                                                                             \
        tile(w + row * w_row, w_row, width, x, x_row, full, count, 0, y + row, y_row, accumulate);                     \
    for (; row < rows; row++)                                                                                          \
      tile(w + row * w_row, w_row, width, x, x_row, 1, count, is_bfloat16, y + row, y_row, accumulate);                \
  }
TILES(1, 1)
TILES(2, 4)
TILES(3, 4)
TILES(4, 4)
TILES(5, 3)
TILES(6, 3)
TILES(7, 2)
TILES(8, 2)

void sft_half_few_rows(const uint16_t *w, size_t w_row, size_t rows, size_t width, int is_bfloat16, const float *x,
                       size_t x_row, size_t count, float *y, size_t y_row, int accumulate) {
  static void (*const products[])(const uint16_t *, size_t, size_t, size_t, const float *, size_t, int, float *, size_t,
                                  int) = {rows_1, rows_2, rows_3, rows_4, rows_5, rows_6, rows_7, rows_8};
  products[count - 1](w, w_row, rows, width, x, x_row, is_bfloat16, y, y_row, accumulate);
}
#else
void sft_half_few_rows(const uint16_t *w, size_t w_row, size_t rows, size_t width, int is_bfloat16, const float *x,
                       size_t x_row, size_t count, float *y, size_t y_row, int accumulate) {
  (void)w, (void)w_row, (void)rows, (void)width, (void)is_bfloat16, (void)x, (void)x_row, (void)count;
  (void)y, (void)y_row, (void)accumulate;
  __builtin_trap();
}
#endif
