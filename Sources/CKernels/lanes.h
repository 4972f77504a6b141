// The sum of a vector's lanes, in one order wherever it is taken.
#ifndef LANES_H
#define LANES_H

#if defined(__x86_64__)
#include <immintrin.h>

static inline __attribute__((always_inline, target("arch=x86-64-v3"))) float sum_of_lanes(__m256 lanes) {
#pragma clang fp reassociate(off)
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
#endif

#endif
