// What the kernels on 4-bit blocks share.
#ifndef FOUR_BIT_BLOCK_H
#define FOUR_BIT_BLOCK_H
#include "clones.h"
#include "four_bit.h"

// bitsandbytes rounds each product and sum of dequantising by itself, so nothing may be contracted here.
#pragma clang fp contract(off) reassociate(off)

SFT_INLINE float block_absmax(const sft_four_bit *matrix, size_t block) {
  if (matrix->absmax) return matrix->absmax[block];
  float value = matrix->nested_table[matrix->absmax_codes[block]] * matrix->nested_absmax[block / SFT_NESTED_BLOCK];
  return value + matrix->offset;
}

// Functions of their own for two x86-64 levels: the table look-ups below have no portable spelling that compiles to them.
#if defined(__x86_64__)
#include <immintrin.h>
#define SFT_X86_VECTORS 1
#define SFT_LEVEL_3 __attribute__((target("arch=x86-64-v3")))
#define SFT_LEVEL_4 __attribute__((target("arch=x86-64-v4")))

// table[lanes & 15], the table given as two halves.
SFT_LEVEL_3 static inline __m256 look_up_256(__m256i lanes, __m256 low, __m256 high) {
  __m256 from_low = _mm256_permutevar8x32_ps(low, lanes), from_high = _mm256_permutevar8x32_ps(high, lanes);
  return _mm256_blendv_ps(from_low, from_high, _mm256_castsi256_ps(_mm256_slli_epi32(lanes, 28)));
}
#endif

#endif
