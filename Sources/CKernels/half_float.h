// IEEE half to float32, exactly.
#ifndef HALF_FLOAT_H
#define HALF_FLOAT_H
#include "clones.h"

// Without the instructions of F16C, so that every level has the same source; subnormals, infinities and NaN as they are.
SFT_INLINE float half_float(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, rest = bits & 0x7fffu;
  union { uint32_t i; float f; } value = {rest << 13}, scale = {(254u - 15u) << 23};
  value.f *= scale.f;
  if (rest >= 0x7c00u) value.i |= 0x7f800000u;
  value.i |= sign;
  return value.f;
}

#endif
