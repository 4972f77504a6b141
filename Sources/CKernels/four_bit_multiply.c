#include "four_bit_block.h"

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

#ifdef SFT_X86_VECTORS
// A row of whole blocks. High nibbles meet the even elements of x and low nibbles the odd ones, so that nothing has to be
// interleaved; the table is multiplied by absmax once a block.
SFT_LEVEL_4 static float row_product_512(const sft_four_bit *matrix, size_t block, size_t blocks, const float *even,
                                         const float *odd) {
  const __m512 table = _mm512_loadu_ps(matrix->table);
  __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);
  for (size_t end = block + blocks; block < end; block++, packed += 32, even += 32, odd += 32) {
    __m512 scaled = _mm512_mul_ps(table, _mm512_set1_ps(block_absmax(matrix, block)));
    for (int half = 0; half < 2; half++) {
      __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(packed + 16 * half)));
      __m512 first = _mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), scaled);
      __m512 second = _mm512_permutexvar_ps(bytes, scaled);
      sums[half] = _mm512_fmadd_ps(first, _mm512_loadu_ps(even + 16 * half), sums[half]);
      sums[2 + half] = _mm512_fmadd_ps(second, _mm512_loadu_ps(odd + 16 * half), sums[2 + half]);
    }
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

SFT_LEVEL_3 static float row_product_256(const sft_four_bit *matrix, size_t block, size_t blocks, const float *even,
                                         const float *odd) {
  const __m256 low = _mm256_loadu_ps(matrix->table), high = _mm256_loadu_ps(matrix->table + 8);
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);
  for (size_t end = block + blocks; block < end; block++, packed += 32, even += 32, odd += 32) {
    __m256 absmax = _mm256_set1_ps(block_absmax(matrix, block));
    __m256 low_scaled = _mm256_mul_ps(low, absmax), high_scaled = _mm256_mul_ps(high, absmax);
    for (int part = 0; part < 4; part++) {
      __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(packed + 8 * part)));
      __m256 first = look_up_256(_mm256_srli_epi32(bytes, 4), low_scaled, high_scaled);
      __m256 second = look_up_256(bytes, low_scaled, high_scaled);
      sums[0] = _mm256_fmadd_ps(first, _mm256_loadu_ps(even + 8 * part), sums[0]);
      sums[1] = _mm256_fmadd_ps(second, _mm256_loadu_ps(odd + 8 * part), sums[1]);
    }
  }
  float lanes[8], total = 0;
  _mm256_storeu_ps(lanes, _mm256_add_ps(sums[0], sums[1]));
  for (int i = 0; i < 8; i++) total += lanes[i];
  return total;
}
#endif

void sft_four_bit_multiply(int level, const sft_four_bit *matrix, size_t first_row, size_t rows, size_t width,
                           const float *x, const float *x_even, const float *x_odd, float *y, int accumulate) {
  (void)x_even, (void)x_odd;
  for (size_t row = first_row; row < first_row + rows; row++, y++) {
    float product;
#ifdef SFT_X86_VECTORS
    size_t blocks = width / SFT_FOUR_BIT_BLOCK;
    if (level >= 4 && sft_four_bit_splits(width))
      product = row_product_512(matrix, row * blocks, blocks, x_even, x_odd);
    else if (level == 3 && sft_four_bit_splits(width))
      product = row_product_256(matrix, row * blocks, blocks, x_even, x_odd);
    else
#endif
      product = row_product(level, matrix, row * width, width, x);
    *y = accumulate ? *y + product : product;
  }
}
