// What the kernels on ggml's blocks share.
#ifndef GGML_BLOCK_H
#define GGML_BLOCK_H
#include "clones.h"
#include "ggml_blocks.h"

// What is fused is written out, so that the bits are the same wherever it is inlined.
#pragma clang fp contract(off) reassociate(off)

// As macros, to be constants where `kind` is one.
#define IS_SHORT(kind) ((kind) <= SFT_Q8_0)
#define LENGTH_OF(kind) (IS_SHORT(kind) ? 32 : 256)
#define BYTES_OF(kind)                                                                                                 \
  ((kind) == SFT_Q4_0   ? 18                                                                                           \
   : (kind) == SFT_Q4_1 ? 20                                                                                           \
   : (kind) == SFT_Q8_0 ? 34                                                                                           \
   : (kind) == SFT_Q4_K ? 144                                                                                          \
   : (kind) == SFT_Q5_K ? 176                                                                                          \
                        : 210)
// Elements that are decoded at once.
enum { SFT_SHORT_RUN = 32, SFT_LONG_RUN = 64 };
#define RUN_OF(kind) (IS_SHORT(kind) ? SFT_SHORT_RUN : SFT_LONG_RUN)
// Whether a run has one scale and no minimum: then its products are summed without the scale, which the sum is multiplied with.
#define HAS_ONE_SCALE(kind) ((kind) == SFT_Q4_0 || (kind) == SFT_Q8_0)

#if defined(__x86_64__)
#include <immintrin.h>
#define SFT_X86_VECTORS 1
#define SFT_TARGET_512 __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define SFT_TARGET_256 __attribute__((target("arch=x86-64-v3")))
#define SFT_256_INLINE SFT_TARGET_256 static inline __attribute__((always_inline))

typedef float float_eight __attribute__((ext_vector_type(8), aligned(4), may_alias));
typedef float float_four __attribute__((ext_vector_type(4)));
typedef uint8_t byte_sixteen __attribute__((ext_vector_type(16)));
typedef uint8_t byte_codes __attribute__((ext_vector_type(32), aligned(1), may_alias));
typedef uint16_t word_codes __attribute__((ext_vector_type(16), aligned(1), may_alias));

SFT_256_INLINE float half_to_float(const uint8_t *bytes) {
  _Float16 value;
  __builtin_memcpy(&value, bytes, sizeof value);
  return (float)value;
}

// The first sixteen bytes of a Q4_K's or Q5_K's block as eight scales and eight minima, as unpack_six_bits does it.
SFT_256_INLINE __m128i scales_and_minima(__m128i packed) {
  // From byte 4 on: four scales, four minima, and the lower bits of the last four of both.
  __m128i lower = _mm_shuffle_epi8(packed, _mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  __m128i upper = _mm_shuffle_epi8(packed, _mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11));
  const int six = 0x3f3f3f3f, four = 0x0f0f0f0f;
  lower = _mm_and_si128(_mm_srlv_epi32(lower, _mm_setr_epi32(0, 0, 0, 4)), _mm_setr_epi32(six, four, six, four));
  upper = _mm_and_si128(_mm_srli_epi32(upper, 2), _mm_set1_epi32(0x30303030));
  return _mm_or_si128(lower, upper);
}

// Eight halves, `step` bytes apart, put together in general registers.
SFT_256_INLINE float_eight halves_apart(const uint8_t *first, size_t step) {
  uint64_t four[2] = {0, 0};
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i++) {
    uint16_t bits;
    __builtin_memcpy(&bits, first + (size_t)i * step, sizeof bits);
    four[i / 4] |= (uint64_t)bits << 16 * (i % 4);
  }
  return (float_eight)_mm256_cvtph_ps(_mm_set_epi64x((long long)four[1], (long long)four[0]));
}

// The 64 codes of a run. Words are shifted for bytes, which there is no instruction for; masks then take what came from the
// neighbour.
SFT_256_INLINE void codes_of_q5_k(const uint8_t *block, int run, uint8_t *codes) {
  word_codes pairs = *(const word_codes *)(block + 48 + 32 * run), bits = *(const word_codes *)(block + 16);
  word_codes low = run < 2 ? bits << (4 - 2 * run) : bits >> (2 * run - 4);
  word_codes high = run < 2 ? bits << (3 - 2 * run) : bits >> (2 * run - 3);
  *(word_codes *)codes = (pairs & 0x0f0f) | (low & 0x1010);
  *(word_codes *)(codes + 32) = (pairs >> 4 & 0x0f0f) | (high & 0x1010);
}

// Of 128 elements the first 64 are in the bytes' lower four bits, and in the lower four of the upper pairs.
SFT_256_INLINE void codes_of_q6_k(const uint8_t *block, int run, uint8_t *codes) {
  word_codes upper = *(const word_codes *)(block + 128 + run / 2 * 32);
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    word_codes lower = *(const word_codes *)(block + run / 2 * 64 + 32 * i);
    int place = run % 2 * 4 + 2 * i;
    word_codes pairs = place < 4 ? upper << (4 - place) : upper >> (place - 4);
    word_codes all = ((run % 2 ? lower >> 4 : lower) & 0x0f0f) | (pairs & 0x3030);
    *(byte_codes *)(codes + 32 * i) = (byte_codes)all - 32;
  }
}

#define LEVEL(name) name##_512
#define TARGET SFT_TARGET_512
#define LANES 16
#include "ggml_block_runs.h"
#undef LEVEL
#undef TARGET
#undef LANES

#define LEVEL(name) name##_256
#define TARGET SFT_TARGET_256
#define LANES 8
#include "ggml_block_runs.h"
#undef LEVEL
#undef TARGET
#undef LANES
#endif

#endif
