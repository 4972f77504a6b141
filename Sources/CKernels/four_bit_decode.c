#include "four_bit_block.h"

// Element by element: what the vector loops leave over, and all there is on other CPUs.
static void decode_elements(const sft_four_bit *matrix, size_t first, size_t end, float *out) {
  while (first < end) {
    size_t block = first / SFT_FOUR_BIT_BLOCK, stop = (block + 1) * SFT_FOUR_BIT_BLOCK;
    float absmax = block_absmax(matrix, block);
    for (stop = stop < end ? stop : end; first < stop; first++) {
      uint8_t byte = matrix->packed[first / 2];
      *out++ = matrix->table[first % 2 ? byte & 15 : byte >> 4] * absmax;
    }
  }
}

#ifdef SFT_X86_VECTORS
// Sixteen values at a time: eight bytes are spread over sixteen lanes, each shifted to its nibble, and looked up in the
// table, which has been multiplied by absmax already: the same products, a quarter as many.
SFT_LEVEL_4 static void decode_blocks_512(const sft_four_bit *matrix, size_t block, size_t end, float *out) {
  const __m512 table = _mm512_loadu_ps(matrix->table);
  const __m512i bytes_of_lanes =
      _mm512_or_si512(_mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0), _mm512_set1_epi32((int)0x80808000));
  const __m512i shifts = _mm512_set1_epi64(4);
  for (; block < end; block++, out += SFT_FOUR_BIT_BLOCK) {
    const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);
    __m512 scaled = _mm512_mul_ps(table, _mm512_set1_ps(block_absmax(matrix, block)));
    for (int part = 0; part < 4; part++) {
      long long eight;
      __builtin_memcpy(&eight, packed + 8 * part, 8);
      __m512i lanes = _mm512_shuffle_epi8(_mm512_set1_epi64(eight), bytes_of_lanes);
      _mm512_storeu_ps(out + 16 * part, _mm512_permutexvar_ps(_mm512_srlv_epi32(lanes, shifts), scaled));
    }
  }
}

// The same with eight lanes: the table's two halves are looked up separately, and bit 3 of the code chooses.
SFT_LEVEL_3 static void decode_blocks_256(const sft_four_bit *matrix, size_t block, size_t end, float *out) {
  const __m256 low = _mm256_loadu_ps(matrix->table), high = _mm256_loadu_ps(matrix->table + 8);
  const __m256i bytes_of_lanes =
      _mm256_or_si256(_mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0), _mm256_set1_epi32((int)0x80808000));
  const __m256i shifts = _mm256_set1_epi64x(4);
  for (; block < end; block++, out += SFT_FOUR_BIT_BLOCK) {
    const uint8_t *packed = matrix->packed + block * (SFT_FOUR_BIT_BLOCK / 2);
    __m256 absmax = _mm256_set1_ps(block_absmax(matrix, block));
    __m256 low_scaled = _mm256_mul_ps(low, absmax), high_scaled = _mm256_mul_ps(high, absmax);
    for (int part = 0; part < 8; part++) {
      int four;
      __builtin_memcpy(&four, packed + 4 * part, 4);
      __m256i lanes = _mm256_shuffle_epi8(_mm256_set1_epi32(four), bytes_of_lanes);
      _mm256_storeu_ps(out + 8 * part, look_up_256(_mm256_srlv_epi32(lanes, shifts), low_scaled, high_scaled));
    }
  }
}
#endif

float sft_four_bit_absmax(const sft_four_bit *matrix, size_t block) { return block_absmax(matrix, block); }

// The same with statistics by row.
static void decode_by_rows(const sft_four_bit *matrix, size_t first, size_t end, float *out) {
  size_t width = matrix->row_width;
  while (first < end) {
    size_t row = first / width, column = first % width, next = (column / SFT_FOUR_BIT_BLOCK + 1) * SFT_FOUR_BIT_BLOCK;
    size_t stop = row * width + (next < width ? next : width);
    float absmax = block_absmax(matrix, row * (width / SFT_FOUR_BIT_BLOCK) + column / SFT_FOUR_BIT_BLOCK);
    for (stop = stop < end ? stop : end; first < stop; first++) {
      uint8_t byte = matrix->packed[first / 2];
      *out++ = matrix->table[first % 2 ? byte & 15 : byte >> 4] * absmax;
    }
  }
}

void sft_four_bit_decode(int level, const sft_four_bit *matrix, size_t first, size_t count, float *out) {
  size_t end = first + count;
  if (matrix->row_width) {
    decode_by_rows(matrix, first, end, out);
    return;
  }
#ifdef SFT_X86_VECTORS
  size_t block = (first + SFT_FOUR_BIT_BLOCK - 1) / SFT_FOUR_BIT_BLOCK, last = end / SFT_FOUR_BIT_BLOCK;
  if (level >= 3 && block < last) {
    size_t aligned = block * SFT_FOUR_BIT_BLOCK;
    decode_elements(matrix, first, aligned, out);
    out += aligned - first;
    if (level >= 4)
      decode_blocks_512(matrix, block, last, out);
    else
      decode_blocks_256(matrix, block, last, out);
    first = last * SFT_FOUR_BIT_BLOCK;
    out += first - aligned;
  }
#else
  (void)level;
#endif
  decode_elements(matrix, first, end, out);
}
