#include "four_bit_rows.h"

// Rows of any width: decoded piece by piece into memory on the stack, then multiplied.
enum { kPiece = 512 };

#pragma clang fp contract(fast) reassociate(on)
SFT_CLONES static float dot(const float *a, const float *b, size_t count) {
  float sum = 0;
  for (size_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}
#pragma clang fp contract(off) reassociate(off)

static float row_product(int level, const sft_four_bit *matrix, size_t first, size_t width, const float *x) {
  float piece[kPiece], sum = 0;
  for (size_t done = 0; done < width; done += kPiece) {
    size_t count = width - done < kPiece ? width - done : kPiece;
    sft_four_bit_decode(level, matrix, first + done, count, piece);
    sum += dot(piece, x + done, count);
  }
  return sum;
}

// Whole blocks: with vectors of 512 bits a 32-bit lane holds eight codes, and each shift by four brings the next one of every
// lane to where the table look-up reads it; nothing else of a lane matters to it. With 256 bits a byte of the look-ups is a code.
// x is laid out to meet them.
enum { kCodes = 8, kLanes = 16 };

size_t sft_four_bit_arranged(int level, size_t width) {
  if (level < 3 || width % SFT_FOUR_BIT_BLOCK) return 0;
  size_t step = level >= 4 ? kCodes * kLanes : SFT_FOUR_BIT_BLOCK;
  return (width + step - 1) / step * step;
}

int sft_four_bit_most_rows(int level) { return level >= 3 ? 8 : 1; }

void sft_four_bit_arrange(int level, const float *x, size_t x_row, size_t count, size_t width, float *arranged) {
  if (level >= 4) {
    for (size_t first = 0; first < width; first += kCodes * kLanes)
      for (size_t code = 0; code < kCodes; code++)
        for (size_t row = 0; row < count; row++)
          for (size_t lane = 0; lane < kLanes; lane++) {
            // The lowest four bits of a lane are the second element: of a byte the first is in the high nibble.
            size_t place = first + kCodes * lane + (code ^ 1);
            *arranged++ = place < width ? x[row * x_row + place] : 0;
          }
    return;
  }
  // Four bytes of each half of a vector become its floats, of the even elements first.
  for (size_t first = 0; first < width; first += SFT_FOUR_BIT_BLOCK)
    for (size_t row = 0; row < count; row++)
      for (size_t part = 0; part < 8; part++)
        for (size_t lane = 0; lane < 8; lane++) {
          size_t byte = lane / 4 * 16 + part % 4 * 4 + lane % 4;
          *arranged++ = x[row * x_row + first + 2 * byte + part / 4];
        }
}

#ifdef SFT_X86_VECTORS
// Bytes ahead of what is being read; blocks of an x that is read once for each row: 24 KiB.
enum { kAhead = 2048, kMostBlocks = 96 };

// Two blocks a vector, or, where `blocks` is odd, the last one in the lower half; what is above then meets zeros.
SFT_LEVEL_4 static inline __m512i codes_512(const uint8_t *packed, int is_pair) {
  return is_pair ? _mm512_loadu_si512(packed) : _mm512_zextsi256_si512(_mm256_loadu_si256((const __m256i *)packed));
}

SFT_LEVEL_4 static inline __m512 absmax_512(const sft_four_bit *matrix, size_t block, int is_pair) {
  __m512 first = _mm512_set1_ps(block_absmax(matrix, block));
  return is_pair ? _mm512_insertf32x8(first, _mm256_set1_ps(block_absmax(matrix, block + 1)), 1) : first;
}

// What a vector of codes adds to a row's sum: that of its blocks, times their absmax.
SFT_LEVEL_4 static inline __attribute__((always_inline)) __m512 add_vector_512(__m512 total, __m512i codes, __m512 table,
                                                                               __m512 absmax, const float *x) {
  __m512 even = _mm512_mul_ps(_mm512_permutexvar_ps(codes, table), _mm512_loadu_ps(x));
  __m512 odd = _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_srli_epi32(codes, 4), table), _mm512_loadu_ps(x + 16));
#pragma clang loop unroll(full)
  for (int code = 2; code < kCodes; code += 2) {
    __m512i shifted = _mm512_srli_epi32(codes, 4 * code), next = _mm512_srli_epi32(codes, 4 * code + 4);
    even = _mm512_fmadd_ps(_mm512_permutexvar_ps(shifted, table), _mm512_loadu_ps(x + 16 * code), even);
    odd = _mm512_fmadd_ps(_mm512_permutexvar_ps(next, table), _mm512_loadu_ps(x + 16 * code + 16), odd);
  }
  return _mm512_fmadd_ps(_mm512_add_ps(even, odd), absmax, total);
}

// One row by one x.
SFT_LEVEL_4 static float row_product_512(const sft_four_bit *matrix, size_t block, size_t blocks, const float *x) {
  const __m512 table = _mm512_loadu_ps(matrix->table);
  const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);
  __m512 total = _mm512_setzero_ps();
  size_t end = block + blocks;
  for (; block + 2 <= end; block += 2, packed += 64, x += 128) {
    _mm_prefetch((const char *)packed + kAhead, _MM_HINT_T0);
    total = add_vector_512(total, codes_512(packed, 1), table, absmax_512(matrix, block, 1), x);
  }
  if (block < end) total = add_vector_512(total, codes_512(packed, 0), table, absmax_512(matrix, block, 0), x);
  return _mm512_reduce_add_ps(total);
}

// `rows` rows by `count` x: each weight is looked up once, and each part of x read once for the rows. Every sum is made as
// `row_product_512` makes it, so that a row's bits are the same alone and among others. Inlined with constants, so that the
// sums are registers.
SFT_LEVEL_4 static inline __attribute__((always_inline)) void tile_512(const sft_four_bit *matrix, size_t block,
                                                                       size_t blocks, const float *x, size_t all,
                                                                       size_t rows, size_t count, float *y,
                                                                       size_t y_row, int accumulate) {
  enum { kMost = 9 };
  const __m512 table = _mm512_loadu_ps(matrix->table);
  const size_t bytes = blocks * (SFT_FOUR_BIT_BLOCK / 2);
  const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);
  __m512 totals[kMost];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows * count; i++) totals[i] = _mm512_setzero_ps();
  for (size_t done = 0; done < blocks; done += 2, packed += 64) {
    int is_pair = done + 1 < blocks;
    __m512i codes[kMost];
    __m512 sums[2][kMost];
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) {
      codes[row] = codes_512(packed + row * bytes, is_pair);
      // The same place of the next rows.
      _mm_prefetch((const char *)packed + (row + rows) * bytes, _MM_HINT_T0);
    }
#pragma clang loop unroll(full)
    for (int code = 0; code < kCodes; code++, x += 16 * all) {
      __m512 weights[kMost];
#pragma clang loop unroll(full)
      for (size_t row = 0; row < rows; row++)
        weights[row] = _mm512_permutexvar_ps(_mm512_srli_epi32(codes[row], 4 * code), table);
#pragma clang loop unroll(full)
      for (size_t i = 0; i < count; i++) {
        __m512 some = _mm512_loadu_ps(x + 16 * i);
#pragma clang loop unroll(full)
        for (size_t row = 0; row < rows; row++) {
          __m512 *sum = &sums[code % 2][row * count + i];
          *sum = code < 2 ? _mm512_mul_ps(weights[row], some) : _mm512_fmadd_ps(weights[row], some, *sum);
        }
      }
    }
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) {
      __m512 absmax = absmax_512(matrix, block + row * blocks + done, is_pair);
#pragma clang loop unroll(full)
      for (size_t i = row * count; i < (row + 1) * count; i++)
        totals[i] = _mm512_fmadd_ps(_mm512_add_ps(sums[0][i], sums[1][i]), absmax, totals[i]);
    }
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++)
#pragma clang loop unroll(full)
    for (size_t i = 0; i < count; i++) {
      float product = _mm512_reduce_add_ps(totals[row * count + i]), *place = y + i * y_row + row;
      *place = accumulate ? *place + product : product;
    }
}

// `full` rows at a time by `first` x, then by the others, where there are more than registers for: what the rows are is then in
// the cache.
#define TILE_512(count, full, first)                                                                                   \
  SFT_LEVEL_4 static void rows_512_##count(const sft_four_bit *matrix, size_t row, size_t rows, size_t blocks,         \
                                           const float *x, float *y, size_t y_row, int accumulate) {                  \
    size_t end = row + rows;                                                                                          \
    for (; row + (full) <= end; row += (full), y += (full)) {                                                         \
      tile_512(matrix, row * blocks, blocks, x, count, full, first, y, y_row, accumulate);                            \
      if ((count) > (first))                                                                                          \
        tile_512(matrix, row * blocks, blocks, x + 16 * (first), count, full, (count) - (first), y + (first) * y_row, \
                 y_row, accumulate);                                                                                  \
    }                                                                                                                 \
    for (; row < end; row++, y++) {                                                                                   \
      tile_512(matrix, row * blocks, blocks, x, count, 1, first, y, y_row, accumulate);                               \
      if ((count) > (first))                                                                                          \
        tile_512(matrix, row * blocks, blocks, x + 16 * (first), count, 1, (count) - (first), y + (first) * y_row,    \
                 y_row, accumulate);                                                                                  \
    }                                                                                                                 \
  }
TILE_512(2, 4, 2)
TILE_512(3, 3, 3)
TILE_512(4, 2, 4)
TILE_512(5, 2, 3)
TILE_512(6, 2, 3)
TILE_512(7, 2, 4)
TILE_512(8, 2, 4)

SFT_LEVEL_4 static void rows_512_1(const sft_four_bit *matrix, size_t row, size_t rows, size_t blocks, const float *x,
                                   float *y, size_t y_row, int accumulate) {
  size_t end = row + rows;
  // An x that leaves no room for codes in the first-level cache is read once for some rows, which costs a short one more than
  // it brings.
  for (; blocks > kMostBlocks && row + 4 <= end; row += 4, y += 4)
    tile_512(matrix, row * blocks, blocks, x, 1, 4, 1, y, y_row, accumulate);
  for (; row < end; row++, y++) {
    float product = row_product_512(matrix, row * blocks, blocks, x);
    *y = accumulate ? *y + product : product;
  }
}

// The table's floats by their bytes, lowest first: four look-ups of 32 bytes make 32 weights, where one of eight floats takes two
// permutations and a choice.
SFT_LEVEL_3 static inline void tables_of_floats(const float *table, __m256i *tables) {
  uint8_t bytes[4][16];
  for (int byte = 0; byte < 4; byte++)
    for (int code = 0; code < 16; code++) bytes[byte][code] = ((const uint8_t *)(table + code))[byte];
  for (int byte = 0; byte < 4; byte++) tables[byte] = table_of_bytes(bytes[byte]);
}

SFT_LEVEL_3 static inline void float_weights(__m256i codes, const __m256i *tables, __m256i *weights) {
  __m256i lowest = _mm256_shuffle_epi8(tables[0], codes), low = _mm256_shuffle_epi8(tables[1], codes);
  __m256i high = _mm256_shuffle_epi8(tables[2], codes), highest = _mm256_shuffle_epi8(tables[3], codes);
  __m256i first = _mm256_unpacklo_epi8(lowest, low), second = _mm256_unpackhi_epi8(lowest, low);
  __m256i first_high = _mm256_unpacklo_epi8(high, highest), second_high = _mm256_unpackhi_epi8(high, highest);
  weights[0] = _mm256_unpacklo_epi16(first, first_high);
  weights[1] = _mm256_unpackhi_epi16(first, first_high);
  weights[2] = _mm256_unpacklo_epi16(second, second_high);
  weights[3] = _mm256_unpackhi_epi16(second, second_high);
}

SFT_LEVEL_3 static inline void block_of_weights(__m256i codes, const __m256i *tables, __m256i *weights) {
  float_weights(even_codes(codes), tables, weights);
  float_weights(odd_codes(codes), tables, weights + 4);
}

SFT_LEVEL_3 static inline __m256 dot_of_floats(const __m256i *weights, const float *x) {
  __m256 sum = _mm256_mul_ps(_mm256_castsi256_ps(weights[0]), _mm256_loadu_ps(x));
#pragma clang loop unroll(full)
  for (int part = 1; part < 8; part++)
    sum = _mm256_fmadd_ps(_mm256_castsi256_ps(weights[part]), _mm256_loadu_ps(x + 8 * part), sum);
  return sum;
}

SFT_ROWS_256(floats_256, SFT_LEVEL_3, float, tables_of_floats, block_of_weights, dot_of_floats)
#endif

void sft_four_bit_multiply(int level, const sft_four_bit *matrix, size_t first_row, size_t rows, size_t width,
                           const float *x, size_t x_row, const float *arranged, size_t count, float *y, size_t y_row,
                           int accumulate) {
#ifdef SFT_X86_VECTORS
  size_t blocks = width / SFT_FOUR_BIT_BLOCK;
  if (level >= 4 && arranged) {
    static void (*const products[])(const sft_four_bit *, size_t, size_t, size_t, const float *, float *, size_t,
                                    int) = {rows_512_1, rows_512_2, rows_512_3, rows_512_4,
                                            rows_512_5, rows_512_6, rows_512_7, rows_512_8};
    products[count - 1](matrix, first_row, rows, blocks, arranged, y, y_row, accumulate);
    return;
  }
  if (level == 3 && arranged) {
    static void (*const products[])(const sft_four_bit *, const void *, size_t, size_t, size_t, const float *, const float *,
                                    const float *, float *, size_t, int) = SFT_ROWS_TABLE(floats_256);
    products[count - 1](matrix, matrix->table, first_row, rows, blocks, arranged, NULL, NULL, y, y_row, accumulate);
    return;
  }
#endif
  (void)arranged;
  for (size_t i = 0; i < count; i++)
    for (size_t row = 0; row < rows; row++) {
      float product = row_product(level, matrix, (first_row + row) * width, width, x + i * x_row), *place = y + i * y_row + row;
      *place = accumulate ? *place + product : product;
    }
}
