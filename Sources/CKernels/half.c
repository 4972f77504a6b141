// Weights of 16 bits, bfloat16 or IEEE half, decoded where they are used.
#include "half_float.h"
#include "transpose.h"

SFT_INLINE float bfloat16(uint16_t bits) {
  union { uint32_t i; float f; } value = {(uint32_t)bits << 16};
  return value.f;
}

SFT_CLONES void sft_bfloat16_decode(const uint16_t *restrict x, size_t n, float *restrict y) {
  for (size_t i = 0; i < n; i++) y[i] = bfloat16(x[i]);
}

SFT_CLONES void sft_half_decode(const uint16_t *restrict x, size_t n, float *restrict y) {
  for (size_t i = 0; i < n; i++) y[i] = half_float(x[i]);
}

// Several at once, the same arithmetic.
typedef uint16_t sft_eight_halves __attribute__((ext_vector_type(8), aligned(2), may_alias));
typedef uint32_t sft_eight_words __attribute__((ext_vector_type(8)));
typedef uint16_t sft_sixteen_halves __attribute__((ext_vector_type(16), aligned(2), may_alias));
typedef uint32_t sft_sixteen_words __attribute__((ext_vector_type(16)));
typedef float sft_sixteen __attribute__((ext_vector_type(16), aligned(4), may_alias));

SFT_INLINE void bfloat16_eight(const uint16_t *x, sft_eight *y) {
  sft_eight_words words = __builtin_convertvector(*(const sft_eight_halves *)x, sft_eight_words) << 16;
  __builtin_memcpy(y, &words, sizeof words);
}

SFT_INLINE void half_eight(const uint16_t *x, sft_eight *y) {
  for (int i = 0; i < 8; i++) (*y)[i] = half_float(x[i]);
}

SFT_INLINE void bfloat16_sixteen(const uint16_t *x, sft_sixteen *y) {
  sft_sixteen_words words = __builtin_convertvector(*(const sft_sixteen_halves *)x, sft_sixteen_words) << 16;
  __builtin_memcpy(y, &words, sizeof words);
}

SFT_INLINE void half_sixteen(const uint16_t *x, sft_sixteen *y) {
  for (int i = 0; i < 16; i++) (*y)[i] = half_float(x[i]);
}

// A row after the other: then memory is read in order, which is twice as fast as from four rows at once.
#define SFT_HALF_ROWS(name, decode, decode_sixteen)                                                                    \
  SFT_CLONES void name(const uint16_t *w, size_t w_row, size_t rows, size_t width, const float *restrict x,            \
                       float *restrict y, int accumulate) {                                                            \
    for (size_t row = 0; row < rows; row++, w += w_row) {                                                              \
      sft_sixteen sums[4] = {0, 0, 0, 0};                                                                              \
      size_t i = 0;                                                                                                    \
      for (; i + 64 <= width; i += 64)                                                                                 \
        for (int part = 0; part < 4; part++) {                                                                         \
          sft_sixteen value;                                                                                           \
          decode_sixteen(w + i + 16 * part, &value);                                                                   \
          sums[part] += value * *(const sft_sixteen *)(x + i + 16 * part);                                             \
        }                                                                                                              \
      sft_sixteen all = (sums[0] + sums[1]) + (sums[2] + sums[3]);                                                     \
      float sum = 0;                                                                                                   \
      for (int lane = 0; lane < 16; lane++) sum += all[lane];                                                          \
      for (; i < width; i++) sum += decode(w[i]) * x[i];                                                               \
      y[row] = (accumulate ? y[row] : 0) + sum;                                                                        \
    }                                                                                                                  \
  }

SFT_HALF_ROWS(sft_bfloat16_row_products, bfloat16, bfloat16_sixteen)
SFT_HALF_ROWS(sft_half_row_products, half_float, half_sixteen)

// panel[width][SFT_PANEL] = scale · wᵀ of `rows` rows, zeros in the columns beyond them.
#define SFT_HALF_PACK_TRANSPOSED(name, decode, decode_eight)                                                          \
  SFT_CLONES void name(const uint16_t *w, size_t w_row, size_t rows, size_t width, float scale, float *panel) {        \
    size_t whole_rows = rows / 8 * 8, whole_width = width / 8 * 8;                                                     \
    for (size_t i = 0; i < whole_rows; i += 8)                                                                         \
      for (size_t j = 0; j < whole_width; j += 8) {                                                                    \
        sft_eight eight[8];                                                                                            \
        for (int row = 0; row < 8; row++) {                                                                            \
          decode_eight(w + (i + row) * w_row + j, eight + row);                                                        \
          eight[row] *= scale;                                                                                         \
        }                                                                                                              \
        store_transposed(eight, panel + j * SFT_PANEL + i, SFT_PANEL);                                                 \
      }                                                                                                                \
    for (size_t j = 0; j < width; j++) {                                                                               \
      for (size_t i = j < whole_width ? whole_rows : 0; i < rows; i++)                                                 \
        panel[j * SFT_PANEL + i] = scale * decode(w[i * w_row + j]);                                                   \
      for (size_t i = rows; i < SFT_PANEL; i++) panel[j * SFT_PANEL + i] = 0;                                          \
    }                                                                                                                  \
  }

SFT_HALF_PACK_TRANSPOSED(sft_bfloat16_pack_transposed, bfloat16, bfloat16_eight)
SFT_HALF_PACK_TRANSPOSED(sft_half_pack_transposed, half_float, half_eight)

// panel[rows][SFT_PANEL] = w, zeros in the columns beyond `width`.
#define SFT_HALF_PACK(name, decode)                                                                                    \
  SFT_CLONES void name(const uint16_t *restrict w, size_t w_row, size_t rows, size_t width, float *restrict panel) {   \
    for (size_t i = 0; i < rows; i++, w += w_row, panel += SFT_PANEL) {                                                \
      if (width == SFT_PANEL) {                                                                                        \
        for (size_t j = 0; j < SFT_PANEL; j++) panel[j] = decode(w[j]);                                                \
      } else {                                                                                                         \
        for (size_t j = 0; j < width; j++) panel[j] = decode(w[j]);                                                    \
        for (size_t j = width; j < SFT_PANEL; j++) panel[j] = 0;                                                       \
      }                                                                                                                \
    }                                                                                                                  \
  }

SFT_HALF_PACK(sft_bfloat16_pack, bfloat16)
SFT_HALF_PACK(sft_half_pack, half_float)
