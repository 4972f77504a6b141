// Rows of 4-bit weights times a few x, in 16-bit integers: two multiplications a 32-bit lane where float32 has one, and a
// look-up that makes 32 weights at once, or 16 without AVX-512.
//
// Of what a vector of codes meets (two blocks, or one) the largest magnitude of x is kInput; weights are the codes' values times
// a scale, at most 16383, and a block's absmax. A lane sums eight products, 8 · kInput · 16383 < 2³¹, so sums are exact, and
// an output depends on nothing but its row and its x.
#include "four_bit_rows.h"

enum { kElements = 2 * SFT_FOUR_BIT_BLOCK, kCodes = 4, kLanes = 32, kInput = 16384 };

#ifdef SFT_X86_VECTORS
#define SFT_LEVEL_4_VNNI __attribute__((target("arch=x86-64-v4,avx512vnni")))

int sft_four_bit_has_integers(int level) { return level >= 3; }

// With vectors of 256 bits, what one block of x is rounded to has a scale of its own, and no block is half of a vector.
size_t sft_four_bit_integers(int level, size_t width) {
  return level >= 4 ? (width + kElements - 1) / kElements * kElements : width;
}

size_t sft_four_bit_integer_scales(int level, size_t width) {
  return level >= 4 ? sft_four_bit_integers(level, width) / kElements : scales_of_x(width);
}

// What makes integers of `count` values, and what times an integer is its value. The inverse of what is near 0, or is no finite
// number, is 0: then the scale alone says what comes out.
static float inverse_scale(const float *values, size_t count, float *scale) {
  float largest = 0;
  for (size_t i = 0; i < count; i++) {
    float magnitude = __builtin_fabsf(values[i]);
    // What is not a number stays none.
    largest = magnitude > largest || magnitude != magnitude ? magnitude : largest;
  }
  *scale = largest / kInput;
  float inverse = largest > 0 ? kInput / largest : 0;
  return inverse > 0 && inverse < __builtin_inff() ? inverse : 0;
}

// Where the rounded values are finite; of what is not, the scale says enough.
SFT_INLINE int16_t rounded(float value, float inverse) {
  return inverse > 0 ? (int16_t)__builtin_rintf(value * inverse) : 0;
}

void sft_four_bit_arrange_integers(int level, float scale, const float *x, size_t x_row, size_t count, size_t width,
                                   int16_t *arranged, float *scales) {
  if (level >= 4) {
    for (size_t first = 0; first < width; first += kElements) {
      size_t some = width - first < kElements ? width - first : kElements;
      for (size_t row = 0; row < count; row++, arranged += kElements) {
        const float *values = x + row * x_row + first;
        float inverse = inverse_scale(values, some, scales);
        *scales++ *= scale;
        for (size_t i = 0; i < kElements; i++) {
          // A 16-bit lane holds four codes; its lowest four bits are the second element.
          size_t lane = i / kCodes, code = (i % kCodes) ^ 1;
          arranged[code * kLanes + lane] = i < some ? rounded(values[i], inverse) : 0;
        }
      }
    }
    return;
  }
  const size_t stride = scales_of_x(width);
  for (size_t block = 0; block < stride; block++)
    for (size_t row = 0; row < count; row++) {
      float *place = scales + row * stride + block;
      *place = 0;
      if (block * SFT_FOUR_BIT_BLOCK >= width) continue;
      const float *values = x + row * x_row + block * SFT_FOUR_BIT_BLOCK;
      float inverse = inverse_scale(values, SFT_FOUR_BIT_BLOCK, place);
      *place *= scale;
      // As `unpacked_weights` has them: the lower and the upper eight bytes of each half, of the even elements, then of the odd ones.
      for (size_t odd = 0; odd < 2; odd++)
        for (size_t upper = 0; upper < 2; upper++)
          for (size_t lane = 0; lane < 16; lane++) {
            size_t byte = lane / 8 * 16 + upper * 8 + lane % 8;
            *arranged++ = rounded(values[2 * byte + odd], inverse);
          }
    }
}

SFT_LEVEL_3 static inline void tables_of_bytes(const int16_t *levels, __m256i *tables) {
  __m128i first = _mm_loadu_si128((const __m128i *)levels), last = _mm_loadu_si128((const __m128i *)levels + 1);
  const __m128i lowest = _mm_set1_epi16(255);
  tables[0] =
      _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_and_si128(first, lowest), _mm_and_si128(last, lowest)));
  tables[1] =
      _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_srli_epi16(first, 8), _mm_srli_epi16(last, 8)));
}

SFT_LEVEL_3 static inline void unpacked_weights(__m256i codes, const __m256i *tables, __m256i *weights) {
  __m256i even = even_codes(codes), odd = odd_codes(codes);
  __m256i low = _mm256_shuffle_epi8(tables[0], even), high = _mm256_shuffle_epi8(tables[1], even);
  weights[0] = _mm256_unpacklo_epi8(low, high);
  weights[1] = _mm256_unpackhi_epi8(low, high);
  low = _mm256_shuffle_epi8(tables[0], odd), high = _mm256_shuffle_epi8(tables[1], odd);
  weights[2] = _mm256_unpacklo_epi8(low, high);
  weights[3] = _mm256_unpackhi_epi8(low, high);
}

SFT_LEVEL_3 static inline __m256 dot_of_integers(const __m256i *weights, const int16_t *x) {
  const __m256i *some = (const __m256i *)x;
  __m256i even = _mm256_add_epi32(_mm256_madd_epi16(weights[0], _mm256_loadu_si256(some)),
                                  _mm256_madd_epi16(weights[1], _mm256_loadu_si256(some + 1)));
  __m256i odd = _mm256_add_epi32(_mm256_madd_epi16(weights[2], _mm256_loadu_si256(some + 2)),
                                 _mm256_madd_epi16(weights[3], _mm256_loadu_si256(some + 3)));
  return _mm256_cvtepi32_ps(_mm256_add_epi32(even, odd));
}

SFT_ROWS_256(integers_256, SFT_LEVEL_3, int16_t, tables_of_bytes, unpacked_weights, dot_of_integers)

SFT_LEVEL_4 static inline __m512i two_blocks(const uint8_t *packed, int is_pair) {
  return is_pair ? _mm512_loadu_si512(packed) : _mm512_zextsi256_si512(_mm256_loadu_si256((const __m256i *)packed));
}

SFT_LEVEL_4 static inline __m512 two_absmax(const sft_four_bit *matrix, size_t block, int is_pair) {
  __m512 first = _mm512_set1_ps(block_absmax(matrix, block));
  return is_pair ? _mm512_insertf32x8(first, _mm256_set1_ps(block_absmax(matrix, block + 1)), 1) : first;
}

// `rows` rows by `count` x; one x has two chains of sums, several have one each. ADD adds the products of pairs to 32-bit lanes. Inlined with constants, so that `sums` are
// registers.
#define TILE(name, LEVEL, ADD)                                                                                         \
  LEVEL static inline __attribute__((always_inline)) void name(                                                        \
      const sft_four_bit *matrix, const int16_t *levels, size_t block, size_t blocks, const int16_t *x,                \
      const float *scales, size_t rows, size_t count, float *y, size_t y_row, int accumulate) {                        \
    enum { kRows = 4, kCount = 8, kAhead = 2048 };                                                                     \
    const __m512i table = _mm512_loadu_si512(levels);                                                                  \
    const size_t bytes = blocks * (SFT_FOUR_BIT_BLOCK / 2);                                                            \
    const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);                                         \
    __m512 sums[kRows * kCount];                                                                                       \
    _Pragma("clang loop unroll(full)") for (size_t i = 0; i < rows * count; i++) sums[i] = _mm512_setzero_ps();        \
    for (size_t done = 0; done < blocks; done += 2, packed += 64) {                                                    \
      int is_pair = done + 1 < blocks;                                                                                 \
      __m512i weights[kRows][kCodes];                                                                                  \
      __m512 absmax[kRows];                                                                                            \
      _Pragma("clang loop unroll(full)") for (size_t row = 0; row < rows; row++) {                                     \
        __m512i codes = two_blocks(packed + row * bytes, is_pair);                                                     \
        _mm_prefetch((const char *)packed + (rows == 1 ? kAhead : (row + rows) * bytes), _MM_HINT_T0);                 \
        weights[row][0] = _mm512_permutexvar_epi16(codes, table);                                                      \
        weights[row][1] = _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 4), table);                                \
        weights[row][2] = _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 8), table);                                \
        weights[row][3] = _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 12), table);                               \
        absmax[row] = two_absmax(matrix, block + row * blocks + done, is_pair);                                        \
      }                                                                                                                \
      _Pragma("clang loop unroll(full)") for (size_t i = 0; i < count; i++, x += kElements, scales++) {                \
        __m512 factor = _mm512_set1_ps(*scales);                                                                       \
        _Pragma("clang loop unroll(full)") for (size_t row = 0; row < rows; row++) {                                   \
          __m512i even = ADD(_mm512_setzero_si512(), weights[row][0], _mm512_loadu_si512(x));                          \
          __m512i odd = count == 1 ? _mm512_setzero_si512() : even;                                                    \
          odd = ADD(odd, weights[row][1], _mm512_loadu_si512(x + kLanes));                                             \
          even = ADD(count == 1 ? even : odd, weights[row][2], _mm512_loadu_si512(x + 2 * kLanes));                    \
          odd = ADD(count == 1 ? odd : even, weights[row][3], _mm512_loadu_si512(x + 3 * kLanes));                     \
          __m512i all = count == 1 ? _mm512_add_epi32(even, odd) : odd;                                                \
          __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(all), absmax[row]);                                            \
          sums[row * count + i] = _mm512_fmadd_ps(sum, factor, sums[row * count + i]);                                 \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
    _Pragma("clang loop unroll(full)") for (size_t row = 0; row < rows; row++)                                         \
        _Pragma("clang loop unroll(full)") for (size_t i = 0; i < count; i++) {                                        \
      float product = _mm512_reduce_add_ps(sums[row * count + i]), *place = y + i * y_row + row;                       \
      *place = accumulate ? *place + product : product;                                                                \
    }                                                                                                                  \
  }

#define ADD_PAIRS(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
TILE(tile_bw, SFT_LEVEL_4, ADD_PAIRS)
TILE(tile_vnni, SFT_LEVEL_4_VNNI, _mm512_dpwssd_epi32)

// `full` rows at a time, where a row has more than `blocks_above` blocks.
#define ROWS(tile, LEVEL, count, full, blocks_above)                                                                   \
  LEVEL static void tile##_##count(const sft_four_bit *matrix, const int16_t *levels, size_t row,                      \
                                   size_t rows, size_t blocks, const int16_t *x, const float *scales, float *y,        \
                                   size_t y_row, int accumulate) {                                                     \
    size_t end = row + rows;                                                                                           \
    for (; blocks > (blocks_above) && row + (full) <= end; row += (full), y += (full))                                 \
      tile(matrix, levels, row * blocks, blocks, x, scales, full, count, y, y_row, accumulate);                 \
    for (; row < end; row++, y++)                                                                                      \
      tile(matrix, levels, row * blocks, blocks, x, scales, 1, count, y, y_row, accumulate);                    \
  }
// One x is read once for each row, unless it leaves no room for codes in the first-level cache: 24 KiB.
#define ALL_ROWS(tile, LEVEL)                                                                                          \
  ROWS(tile, LEVEL, 1, 4, 192)                                                                                         \
  ROWS(tile, LEVEL, 2, 2, 0)                                                                                           \
  ROWS(tile, LEVEL, 3, 2, 0)                                                                                           \
  ROWS(tile, LEVEL, 4, 2, 0)                                                                                           \
  ROWS(tile, LEVEL, 5, 2, 0)                                                                                           \
  ROWS(tile, LEVEL, 6, 2, 0)                                                                                           \
  ROWS(tile, LEVEL, 7, 2, 0)                                                                                           \
  ROWS(tile, LEVEL, 8, 2, 0)
ALL_ROWS(tile_bw, SFT_LEVEL_4)
ALL_ROWS(tile_vnni, SFT_LEVEL_4_VNNI)

void sft_four_bit_multiply_integers(int level, const sft_four_bit *matrix, const int16_t *levels, size_t first_row,
                                    size_t rows, size_t width, const int16_t *arranged, const float *scales,
                                    size_t count, float *y, size_t y_row, int accumulate, int uses_vnni) {
  size_t blocks = width / SFT_FOUR_BIT_BLOCK;
  if (level < 4) {
    static void (*const all[])(const sft_four_bit *, const void *, size_t, size_t, size_t, const int16_t *, const float *,
                               const float *, float *, size_t, int) = SFT_ROWS_TABLE(integers_256);
    all[count - 1](matrix, levels, first_row, rows, blocks, arranged, scales, NULL, y, y_row, accumulate);
    return;
  }
  typedef void product(const sft_four_bit *, const int16_t *, size_t, size_t, size_t, const int16_t *, const float *,
                       float *, size_t, int);
  static product *const all[2][8] = {SFT_ROWS_TABLE(tile_bw), SFT_ROWS_TABLE(tile_vnni)};
  int vnni = uses_vnni && __builtin_cpu_supports("avx512vnni");
  all[vnni][count - 1](matrix, levels, first_row, rows, blocks, arranged, scales, y, y_row, accumulate);
}
#else
int sft_four_bit_has_integers(int level) {
  (void)level;
  return 0;
}
size_t sft_four_bit_integers(int level, size_t width) {
  (void)level;
  return width;
}
size_t sft_four_bit_integer_scales(int level, size_t width) {
  (void)level;
  return width;
}
void sft_four_bit_arrange_integers(int level, float scale, const float *x, size_t x_row, size_t count, size_t width,
                                   int16_t *arranged, float *scales) {
  (void)level, (void)scale, (void)x, (void)x_row, (void)count, (void)width, (void)arranged, (void)scales;
}
void sft_four_bit_multiply_integers(int level, const sft_four_bit *matrix, const int16_t *levels, size_t first_row,
                                    size_t rows, size_t width, const int16_t *arranged, const float *scales,
                                    size_t count, float *y, size_t y_row, int accumulate, int uses_vnni) {
  (void)level, (void)matrix, (void)levels, (void)first_row, (void)rows, (void)width, (void)arranged, (void)scales;
  (void)count, (void)y, (void)y_row, (void)accumulate, (void)uses_vnni;
}
#endif
