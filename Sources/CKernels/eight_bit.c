#include "clones.h"
#include "eight_bit.h"

// Rounding is part of the format: products are fused where bitsandbytes fuses them, and nowhere else.
#pragma clang fp contract(off) reassociate(off)

enum { kBlock = SFT_EIGHT_BIT_BLOCK };

SFT_INLINE float largest_magnitude(const float *x, size_t count) {
  const sft_i32_alias *bits = (const sft_i32_alias *)x;
  int32_t largest = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t magnitude = bits[i] & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  union { int32_t i; float f; } value = {largest};
  return value.f;
}

// One block of at most 256. A block of zeros has code 0, whatever that stands for. An absmax whose inverse overflows sends
// 0 · ∞ to bin 0, as bitsandbytes does.
SFT_INLINE void encode_block(const uint8_t *bins, const float *x, size_t count, uint8_t *codes, float *absmax) {
  *absmax = largest_magnitude(x, count);
  if (*absmax == 0) {
    __builtin_memset(codes, 0, count);
    return;
  }
  int32_t indices[kBlock];
  float inverse = 1.0f / *absmax;
  for (size_t i = 0; i < count; i++) {
    float value = x[i] * inverse;
    value = value > -1.0f ? value : -1.0f;
    value = value < 1.0f ? value : 1.0f;
    indices[i] = (int32_t)__builtin_fmaf((value + 1.0f) * 0.5f, 65535.0f, 0.5f);
  }
  for (size_t i = 0; i < count; i++) codes[i] = bins[indices[i]];
}

SFT_CLONES void sft_eight_bit_encode(const uint8_t *bins, const float *x, size_t count, uint8_t *codes, float *absmax) {
  for (size_t first = 0; first < count; first += kBlock)
    encode_block(bins, x + first, count - first < kBlock ? count - first : kBlock, codes + first, absmax++);
}

SFT_INLINE void decode_block(const float *values, const uint8_t *codes, size_t count, float absmax, float *x) {
  for (size_t i = 0; i < count; i++) x[i] = values[codes[i]] * absmax;
}

SFT_CLONES void sft_adamw_8bit(float *restrict parameters, const float *restrict gradients, uint8_t *restrict m_codes,
                               uint8_t *restrict v_codes, float *restrict m_absmax, float *restrict v_absmax,
                               size_t count, sft_dynamic_map m_map, sft_dynamic_map v_map, sft_adamw_8bit_factors f) {
  float m[kBlock], v[kBlock];
  for (size_t first = 0; first < count; first += kBlock, m_absmax++, v_absmax++) {
    size_t length = count - first < kBlock ? count - first : kBlock;
    decode_block(m_map.values, m_codes + first, length, *m_absmax, m);
    decode_block(v_map.values, v_codes + first, length, *v_absmax, v);
    for (size_t i = 0; i < length; i++) {
      float g = gradients[first + i] * f.gradient_scale;
      m[i] = __builtin_fmaf(g, f.one_minus_beta1, m[i] * f.beta1);
      v[i] = __builtin_fmaf(f.one_minus_beta2 * g, g, v[i] * f.beta2);
      float denominator = __builtin_sqrtf(v[i]) / f.bias_correction2_sqrt + f.epsilon;
      parameters[first + i] = parameters[first + i] * f.decay + f.negative_step_size * m[i] / denominator;
    }
    encode_block(m_map.bins, m, length, m_codes + first, m_absmax);
    encode_block(v_map.bins, v, length, v_codes + first, v_absmax);
  }
}
