// Rows of 4-bit weights times a few x with vectors of 256 bits, which hold the codes of one block: what is the same for x in
// float32, and in integers of 16 and 8 bits.
#ifndef FOUR_BIT_ROWS_H
#define FOUR_BIT_ROWS_H
#include "four_bit_block.h"
#include "lanes.h"

#ifdef SFT_X86_VECTORS
#include <string.h>

enum { kMostX = 8, kAbsmaxLanes = 8 };

// out[0 ..< count] = absmax of the blocks first ..< first + count, then zeros to a multiple of 8.
SFT_LEVEL_3 static inline void absmax_of_blocks(const sft_four_bit *matrix, size_t first, size_t count, float *out) {
  if (matrix->absmax) {
    memcpy(out, matrix->absmax + first, count * 4);
  } else {
    for (size_t i = 0; i < count; i++) out[i] = matrix->nested_table[matrix->absmax_codes[first + i]];
    const __m256 offset = _mm256_set1_ps(matrix->offset);
    for (size_t done = 0; done < count;) {
      size_t nested = (first + done) / SFT_NESTED_BLOCK, end = (nested + 1) * SFT_NESTED_BLOCK - first;
      if (end > count) end = count;
      const __m256 scale = _mm256_set1_ps(matrix->nested_absmax[nested]);
      for (; done + kAbsmaxLanes <= end; done += kAbsmaxLanes)
        _mm256_storeu_ps(out + done, _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(out + done), scale), offset));
      for (; done < end; done++) {
        float value = out[done] * matrix->nested_absmax[nested];
        out[done] = value + matrix->offset;
      }
    }
  }
  for (size_t i = count; i % kAbsmaxLanes; i++) out[i] = 0;
}

// What one x is divided into for the scales below: rows of them are this far apart.
SFT_INLINE size_t scales_of_x(size_t width) {
  return (width / SFT_FOUR_BIT_BLOCK + kAbsmaxLanes - 1) / kAbsmaxLanes * kAbsmaxLanes;
}

// Defines name_1 … name_8, for so many x: y(i, r) (+)= row r · x(i).
//
// TABLES(levels, tables) makes what WEIGHTS(codes, tables, weights) looks a block's weights up in; DOT(weights, x) gives the lanes
// of their product with one x, as floats. x is [block][x][64] of X; what a block's product is multiplied with is its absmax, times
// its `scales`, [x][scales_of_x], where there are any. Where there are `corrections`, laid out alike, absmax times them is added.
//
// An output is summed over the blocks in one order whatever the number of rows and x. Of several x as many blocks are taken at
// a time, for some rows, as have room in the first-level cache.
#define SFT_ROWS_256(name, LEVEL, X, TABLES, WEIGHTS, DOT)                                                                 \
  LEVEL static inline __attribute__((always_inline)) void name(                                                            \
      const sft_four_bit *matrix, const __m256i *tables, size_t row, size_t rows, size_t blocks, const X *x,               \
      const float *scales, const float *corrections, size_t count, float *y, size_t y_row, int accumulate) {               \
    enum { kRows = 4, kPiece = 128, kAhead = 2048, kRoom = 16384 };                                                        \
    const size_t stride = scales_of_x(blocks * SFT_FOUR_BIT_BLOCK), of_x = count * SFT_FOUR_BIT_BLOCK * sizeof(X);         \
    const size_t fitting = kRoom / of_x / kAbsmaxLanes * kAbsmaxLanes;                                                     \
    const size_t piece = fitting < kPiece ? fitting : kPiece;                                                              \
    const size_t ahead = count == 1 ? kAhead : piece * 32;                                                                 \
    __m256 totals[kRows][kMostX], corrected[kRows][kMostX];                                                                \
    for (size_t r = 0; r < rows; r++)                                                                                      \
      for (size_t i = 0; i < count; i++) totals[r][i] = corrected[r][i] = _mm256_setzero_ps();                             \
    for (size_t first = 0; first < blocks; first += piece) {                                                               \
      size_t some = blocks - first < piece ? blocks - first : piece;                                                       \
      for (size_t r = 0; r < rows; r++) {                                                                                  \
        float absmax[kPiece], factors[kMostX][kPiece];                                                                     \
        absmax_of_blocks(matrix, (row + r) * blocks + first, some, absmax);                                                \
        _Pragma("clang loop unroll(full)") for (size_t i = 0; i < count; i++)                                              \
          for (size_t b = 0; b < some; b += kAbsmaxLanes) {                                                                \
            __m256 each = _mm256_loadu_ps(absmax + b);                                                                     \
            size_t place = i * stride + first + b;                                                                         \
            _mm256_storeu_ps(factors[i] + b, scales ? _mm256_mul_ps(each, _mm256_loadu_ps(scales + place)) : each);        \
            if (corrections)                                                                                               \
              corrected[r][i] = _mm256_fmadd_ps(each, _mm256_loadu_ps(corrections + place), corrected[r][i]);              \
          }                                                                                                                \
        __m256 sums[kMostX];                                                                                               \
        _Pragma("clang loop unroll(full)") for (size_t i = 0; i < count; i++) sums[i] = totals[r][i];                      \
        const uint8_t *packed = matrix->packed + ((row + r) * blocks + first) * (SFT_FOUR_BIT_BLOCK / 2);                  \
        const X *part = x + first * count * SFT_FOUR_BIT_BLOCK;                                                            \
        for (size_t b = 0; b < some; b++, packed += 32) {                                                                  \
          __m256i weights[8];                                                                                              \
          WEIGHTS(_mm256_loadu_si256((const __m256i *)packed), tables, weights);                                           \
          _mm_prefetch((const char *)packed + ahead, _MM_HINT_T0);                                                         \
          _Pragma("clang loop unroll(full)") for (size_t i = 0; i < count; i++, part += SFT_FOUR_BIT_BLOCK)                \
              sums[i] = _mm256_fmadd_ps(DOT(weights, part), _mm256_broadcast_ss(factors[i] + b), sums[i]);                 \
        }                                                                                                                  \
        _Pragma("clang loop unroll(full)") for (size_t i = 0; i < count; i++) totals[r][i] = sums[i];                      \
      }                                                                                                                    \
    }                                                                                                                      \
    for (size_t r = 0; r < rows; r++)                                                                                      \
      for (size_t i = 0; i < count; i++) {                                                                                 \
        float product = sum_of_lanes(_mm256_add_ps(totals[r][i], corrected[r][i])), *place = y + i * y_row + r;            \
        *place = accumulate ? *place + product : product;                                                                  \
      }                                                                                                                    \
  }                                                                                                                        \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 1, 1)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 2, 4)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 3, 4)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 4, 4)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 5, 4)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 6, 4)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 7, 4)                                                                                \
  SFT_ROWS_OF(name, LEVEL, X, TABLES, 8, 4)

#define SFT_ROWS_OF(name, LEVEL, X, TABLES, count, together)                                                               \
  LEVEL static void name##_##count(const sft_four_bit *matrix, const void *levels, size_t row, size_t rows, size_t blocks, \
                                   const X *x, const float *scales, const float *corrections, float *y, size_t y_row,      \
                                   int accumulate) {                                                                       \
    __m256i tables[4];                                                                                                     \
    TABLES(levels, tables);                                                                                                \
    for (size_t end = row + rows; row < end; row += (together), y += (together))                                           \
      name(matrix, tables, row, end - row < (together) ? end - row : (together), blocks, x, scales, corrections, count, y, \
           y_row, accumulate);                                                                                             \
  }

#define SFT_ROWS_TABLE(name) {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8}

// The codes of a block's elements at even and at odd places.
SFT_LEVEL_3 static inline __m256i even_codes(__m256i codes) {
  return _mm256_and_si256(_mm256_srli_epi16(codes, 4), _mm256_set1_epi8(15));
}
SFT_LEVEL_3 static inline __m256i odd_codes(__m256i codes) { return _mm256_and_si256(codes, _mm256_set1_epi8(15)); }

// Sixteen bytes, in both halves.
SFT_LEVEL_3 static inline __m256i table_of_bytes(const uint8_t *bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)bytes));
}
#endif

#endif
