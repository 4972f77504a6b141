// Transposing through registers, for panels and tiles.
#ifndef TRANSPOSE_H
#define TRANSPOSE_H
#include "clones.h"

typedef float sft_eight __attribute__((ext_vector_type(8), aligned(4), may_alias));

// to[j][i] = r[i][j] for 8 × 8 elements.
SFT_INLINE void store_transposed(sft_eight r[8], float *to, size_t to_row) {
  sft_eight s[8];
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = i; j < i + 2; j++) {
      r[j] = __builtin_shufflevector(s[j], s[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[j + 2] = __builtin_shufflevector(s[j], s[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    *(sft_eight *)(to + i * to_row) = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *(sft_eight *)(to + (i + 4) * to_row) = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// to[j][i] = scale · from[i][j] for 8 × 8 elements.
SFT_INLINE void transpose_eight(const float *from, size_t from_row, float scale, float *to, size_t to_row) {
  sft_eight r[8];
  for (int i = 0; i < 8; i++) r[i] = *(const sft_eight *)(from + i * from_row) * scale;
  store_transposed(r, to, to_row);
}

// to[columns][rows] = scale · fromᵀ.
SFT_INLINE void transpose(const float *from, size_t from_row, size_t rows, size_t columns, float scale, float *to,
                          size_t to_row) {
  size_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (size_t j = 0; j < whole_columns; j += 8)
    for (size_t i = 0; i < whole_rows; i += 8)
      transpose_eight(from + i * from_row + j, from_row, scale, to + j * to_row + i, to_row);
  for (size_t j = 0; j < columns; j++)
    for (size_t i = j < whole_columns ? whole_rows : 0; i < rows; i++) to[j * to_row + i] = scale * from[i * from_row + j];
}

#endif
