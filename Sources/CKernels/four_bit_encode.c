#include "clones.h"
#include "four_bit.h"

// Each product is rounded by itself, as bitsandbytes does.
#pragma clang fp contract(off) reassociate(off)

enum { kBlock = SFT_FOUR_BIT_BLOCK };
static const uint32_t kInfinity = 0x7f800000;
// bitsandbytes' lower bound on what it divides by.
static const float kSmallestAbsmax = 1e-38f;

// The bits of the largest magnitude; the order of the bits is the order of the magnitudes, NaN above infinity.
SFT_INLINE uint32_t largest_magnitude(const float *x, size_t count) {
  const sft_i32_alias *bits = (const sft_i32_alias *)x;
  uint32_t largest = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t magnitude = (uint32_t)bits[i] & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

SFT_INLINE float from_bits(uint32_t bits) {
  union { uint32_t i; float f; } value = {bits};
  return value.f;
}

SFT_INLINE uint32_t code_of(float value, const float *bounds, uint32_t low_order, uint32_t high_order) {
  uint32_t below = 0;
  for (int i = 0; i < 15; i++) below += value > bounds[i];
  return ((below < 8 ? low_order : high_order) >> (4 * (below & 7))) & 15;
}

SFT_CLONES static void encode_block(const sft_four_bit_code *code, const float *restrict x, float inverse,
                                    uint8_t *restrict packed) {
  uint32_t low = (uint32_t)code->order, high = (uint32_t)(code->order >> 32), codes[kBlock];
  float bounds[15];
  __builtin_memcpy(bounds, code->bounds, sizeof bounds);
  for (size_t i = 0; i < kBlock; i++) codes[i] = code_of(x[i] * inverse, bounds, low, high);
  for (size_t i = 0; i < kBlock / 2; i++) packed[i] = (uint8_t)(codes[2 * i] << 4 | codes[2 * i + 1]);
}

// The last, short block: bitsandbytes divides by absmax instead of multiplying by its inverse, and bounds the absmax that
// it stores. A missing second element counts as zero.
static void encode_rest(const sft_four_bit_code *code, const float *x, size_t count, uint8_t *packed, float *absmax) {
  uint32_t low = (uint32_t)code->order, high = (uint32_t)(code->order >> 32);
  if (*absmax < kSmallestAbsmax) *absmax = kSmallestAbsmax;
  for (size_t i = 0; i < count; i += 2) {
    uint32_t first = code_of(x[i] / *absmax, code->bounds, low, high);
    uint32_t second = code_of(i + 1 < count ? x[i + 1] / *absmax : 0, code->bounds, low, high);
    packed[i / 2] = (uint8_t)(first << 4 | second);
  }
}

SFT_CLONES ptrdiff_t sft_four_bit_encode(const sft_four_bit_code *code, const float *x, size_t count, uint8_t *packed,
                                         float *absmax) {
  for (size_t block = 0; block * kBlock < count; block++) {
    size_t first = block * kBlock, length = count - first < kBlock ? count - first : kBlock;
    uint32_t largest = length == kBlock ? largest_magnitude(x + first, kBlock) : largest_magnitude(x + first, length);
    if (largest >= kInfinity) return (ptrdiff_t)block;
    absmax[block] = from_bits(largest);
    if (length == kBlock)
      encode_block(code, x + first, 1.0f / (absmax[block] > kSmallestAbsmax ? absmax[block] : kSmallestAbsmax),
                   packed + first / 2);
    else
      encode_rest(code, x + first, length, packed + first / 2, absmax + block);
  }
  return -1;
}

// Eight rows at a time, so that what is read of them stays in the first-level cache while it is used.
SFT_CLONES void sft_transpose(const float *restrict x, size_t stride, size_t rows, size_t columns,
                              float *restrict out) {
  size_t row = 0;
  for (; row + 8 <= rows; row += 8)
    for (size_t column = 0; column < columns; column++)
      for (size_t i = 0; i < 8; i++) out[column * rows + row + i] = x[(row + i) * stride + column];
  for (; row < rows; row++)
    for (size_t column = 0; column < columns; column++) out[column * rows + row] = x[row * stride + column];
}
