// Rows of 4-bit weights times a few x, in 8-bit integers: one look-up makes 32 weights, and a product of 32 pairs is three
// instructions, or one where the CPU has those for neural networks.
//
// Levels are unsigned and x is signed, as `vpmaddubsw` has them; two products of at most 127 · 127 fit its 16 bits, so that sums of
// a block are exact, with whatever instructions. What the levels' zero adds is taken off again with the corrections.
#include "four_bit_rows.h"

#ifdef SFT_X86_VECTORS
enum { kLargest = 127 };

int sft_four_bit_has_bytes(int level) { return level >= 3; }

size_t sft_four_bit_byte_scales(size_t width) { return scales_of_x(width); }

SFT_CLONES static int32_t round_block(const float *x, float inverse, int8_t *out) {
  int32_t sum = 0;
  for (size_t i = 0; i < SFT_FOUR_BIT_BLOCK / 2; i++) {
    int32_t even = (int32_t)__builtin_rintf(x[2 * i] * inverse), odd = (int32_t)__builtin_rintf(x[2 * i + 1] * inverse);
    out[i] = (int8_t)even;
    out[SFT_FOUR_BIT_BLOCK / 2 + i] = (int8_t)odd;
    sum += even + odd;
  }
  return sum;
}

void sft_four_bit_arrange_bytes(const sft_four_bit_bytes *code, const float *x, size_t x_row, size_t count, size_t width,
                                int8_t *arranged, float *scales, float *corrections) {
  const size_t blocks = width / SFT_FOUR_BIT_BLOCK, stride = scales_of_x(width);
  for (size_t block = 0; block < stride; block++)
    for (size_t row = 0; row < count; row++) {
      size_t place = row * stride + block;
      scales[place] = corrections[place] = 0;
      if (block >= blocks) continue;
      const float *values = x + row * x_row + block * SFT_FOUR_BIT_BLOCK;
      float largest = 0;
      for (size_t i = 0; i < SFT_FOUR_BIT_BLOCK; i++) {
        float magnitude = __builtin_fabsf(values[i]);
        // What is not a number stays none.
        largest = magnitude > largest || magnitude != magnitude ? magnitude : largest;
      }
      float inverse = largest > 0 ? kLargest / largest : 0;
      // The inverse of what is near 0, or is no finite number: then the scale alone says what comes out.
      int is_finite = inverse > 0 && inverse < __builtin_inff();
      int32_t sum = 0;
      if (is_finite) sum = round_block(values, inverse, arranged);
      else memset(arranged, 0, SFT_FOUR_BIT_BLOCK);
      scales[place] = largest / kLargest * code->scale;
      corrections[place] = -code->zero * scales[place] * (float)sum;
      arranged += SFT_FOUR_BIT_BLOCK;
    }
}

#define TABLES(levels, tables) tables[0] = table_of_bytes(levels)
#define WEIGHTS(codes, tables, weights)                            \
  weights[0] = _mm256_shuffle_epi8(tables[0], even_codes(codes)), \
  weights[1] = _mm256_shuffle_epi8(tables[0], odd_codes(codes))

SFT_LEVEL_3 static inline __m256 dot_avx2(const __m256i *weights, const int8_t *x) {
  const __m256i ones = _mm256_set1_epi16(1), *bytes = (const __m256i *)x;
  __m256i even = _mm256_madd_epi16(_mm256_maddubs_epi16(weights[0], _mm256_loadu_si256(bytes)), ones);
  __m256i odd = _mm256_madd_epi16(_mm256_maddubs_epi16(weights[1], _mm256_loadu_si256(bytes + 1)), ones);
  return _mm256_cvtepi32_ps(_mm256_add_epi32(even, odd));
}

#define SFT_LEVEL_3_VNNI __attribute__((target("arch=x86-64-v3,avxvnni")))
SFT_LEVEL_3_VNNI static inline __m256 dot_avx_vnni(const __m256i *weights, const int8_t *x) {
  const __m256i *bytes = (const __m256i *)x;
  __m256i even = _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), weights[0], _mm256_loadu_si256(bytes));
  return _mm256_cvtepi32_ps(_mm256_dpbusd_avx_epi32(even, weights[1], _mm256_loadu_si256(bytes + 1)));
}

#define SFT_LEVEL_4_VNNI __attribute__((target("arch=x86-64-v4,avx512vnni")))
SFT_LEVEL_4_VNNI static inline __m256 dot_avx512_vnni(const __m256i *weights, const int8_t *x) {
  const __m256i *bytes = (const __m256i *)x;
  __m256i even = _mm256_dpbusd_epi32(_mm256_setzero_si256(), weights[0], _mm256_loadu_si256(bytes));
  return _mm256_cvtepi32_ps(_mm256_dpbusd_epi32(even, weights[1], _mm256_loadu_si256(bytes + 1)));
}

SFT_ROWS_256(bytes_avx2, SFT_LEVEL_3, int8_t, TABLES, WEIGHTS, dot_avx2)
SFT_ROWS_256(bytes_avx_vnni, SFT_LEVEL_3_VNNI, int8_t, TABLES, WEIGHTS, dot_avx_vnni)
SFT_ROWS_256(bytes_avx512_vnni, SFT_LEVEL_4_VNNI, int8_t, TABLES, WEIGHTS, dot_avx512_vnni)

void sft_four_bit_multiply_bytes(const sft_four_bit *matrix, const sft_four_bit_bytes *code, size_t first_row, size_t rows,
                                 size_t width, const int8_t *arranged, const float *scales, const float *corrections,
                                 size_t count, float *y, size_t y_row, int accumulate, int uses_vnni) {
  typedef void product(const sft_four_bit *, const void *, size_t, size_t, size_t, const int8_t *, const float *,
                       const float *, float *, size_t, int);
  static product *const avx2[] = SFT_ROWS_TABLE(bytes_avx2), *const avx_vnni[] = SFT_ROWS_TABLE(bytes_avx_vnni),
                        *const avx512_vnni[] = SFT_ROWS_TABLE(bytes_avx512_vnni);
  product *const *all = avx2;
  if (uses_vnni && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("x86-64-v4")) all = avx512_vnni;
  else if (uses_vnni && __builtin_cpu_supports("avxvnni")) all = avx_vnni;
  all[count - 1](matrix, code->levels, first_row, rows, width / SFT_FOUR_BIT_BLOCK, arranged, scales, corrections, y, y_row,
                 accumulate);
}
#else
int sft_four_bit_has_bytes(int level) {
  (void)level;
  return 0;
}
size_t sft_four_bit_byte_scales(size_t width) { return width; }
void sft_four_bit_arrange_bytes(const sft_four_bit_bytes *code, const float *x, size_t x_row, size_t count, size_t width,
                                int8_t *arranged, float *scales, float *corrections) {
  (void)code, (void)x, (void)x_row, (void)count, (void)width, (void)arranged, (void)scales, (void)corrections;
}
void sft_four_bit_multiply_bytes(const sft_four_bit *matrix, const sft_four_bit_bytes *code, size_t first_row, size_t rows,
                                 size_t width, const int8_t *arranged, const float *scales, const float *corrections,
                                 size_t count, float *y, size_t y_row, int accumulate, int uses_vnni) {
  (void)matrix, (void)code, (void)first_row, (void)rows, (void)width, (void)arranged, (void)scales, (void)corrections;
  (void)count, (void)y, (void)y_row, (void)accumulate, (void)uses_vnni;
}
#endif
