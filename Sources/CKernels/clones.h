// One portable source, compiled for three x86-64 levels; the loader picks by cpuid.
#ifndef CLONES_H
#define CLONES_H
#include "ckernels.h"

#if defined(__x86_64__) && defined(__ELF__)
#define SFT_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define SFT_CLONES
#endif
#define SFT_INLINE static inline __attribute__((always_inline))

// Contracting to FMA and reassociating sums is what lets loops vectorise. The order is fixed when compiled, so results
// repeat bit for bit on one CPU level.
#pragma clang fp contract(fast) reassociate(on)

typedef int32_t sft_i32_alias __attribute__((may_alias));

// e^x to about 2 ulp by 2^n · p(r) (Cody–Waite reduction, degree-6 polynomial as in Cephes); no branch, so it vectorises.
// Below −87.3 it gives a number near 1.2e-38 instead of a subnormal; above 88.3 it saturates.
SFT_INLINE float sft_exp(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  float n = __builtin_rintf(x * 1.44269504f);
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  union { int32_t i; float f; } two_n;
  two_n.i = ((int32_t)n + 127) << 23;
  return p * two_n.f;
}

// 53 random bits for a seed and an index, by SplitMix64 of a counter: whoever asks again gets them again.
SFT_INLINE uint64_t sft_dropout_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) >> 11;
}

// What they must reach to be kept.
SFT_INLINE uint64_t sft_dropout_threshold(float p) { return (uint64_t)((double)p * 9007199254740992.0); }

#endif
