// Runs of a block's elements decoded in registers, for one vector width; included once a level, with
//   LEVEL(name)   the function's name at this level
//   TARGET        the attribute that selects the instructions, FMA and F16C among them
//   LANES         floats of a vector, 16 or 8
//
// A run is what has its codes in the same bytes: a short block, 32 elements, or 64 of a long one. `kind` and `run` are
// constants where these are inlined, so that all that depends on them is settled when compiled.

typedef float LEVEL(vector) __attribute__((ext_vector_type(LANES), aligned(4), may_alias));
typedef int32_t LEVEL(integers) __attribute__((ext_vector_type(LANES)));
typedef uint8_t LEVEL(bytes) __attribute__((ext_vector_type(LANES), aligned(1), may_alias));
typedef int8_t LEVEL(signed_bytes) __attribute__((ext_vector_type(LANES), aligned(1), may_alias));

#undef RUN_INLINE
#define RUN_INLINE TARGET static inline __attribute__((always_inline))

RUN_INLINE LEVEL(integers) LEVEL(codes)(const void *bytes) {
  return __builtin_convertvector(*(const LEVEL(bytes) *)bytes, LEVEL(integers));
}

RUN_INLINE LEVEL(integers) LEVEL(signed_codes)(const void *bytes) {
  return __builtin_convertvector(*(const LEVEL(signed_bytes) *)bytes, LEVEL(integers));
}

RUN_INLINE LEVEL(vector) LEVEL(floats)(LEVEL(integers) values) {
  return __builtin_convertvector(values, LEVEL(vector));
}

// values · scale − minimum, rounded once.
RUN_INLINE LEVEL(vector) LEVEL(fused)(LEVEL(vector) values, float scale, float minimum) {
  return __builtin_elementwise_fma(values, (LEVEL(vector))scale, -(LEVEL(vector))minimum);
}

// What the lowest four bits of codes stand for: code · scale − minimum, or (code − 8) · scale. Sixteen lanes hold that of each
// code, and look it up, whatever else is in a code's lane.
#if LANES == 16
typedef LEVEL(vector) LEVEL(decoder);
RUN_INLINE LEVEL(decoder) LEVEL(affine)(float scale, float minimum) {
  const LEVEL(vector) all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return LEVEL(fused)(all, scale, minimum);
}
RUN_INLINE LEVEL(decoder) LEVEL(centred)(float scale) {
  const LEVEL(vector) all = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
  return all * scale;
}
RUN_INLINE LEVEL(vector) LEVEL(affine_values)(LEVEL(integers) codes, LEVEL(decoder) table) {
  return (LEVEL(vector))_mm512_permutexvar_ps((__m512i)codes, (__m512)table);
}
RUN_INLINE LEVEL(vector) LEVEL(centred_values)(LEVEL(integers) codes, LEVEL(decoder) table) {
  return LEVEL(affine_values)(codes, table);
}
#else
typedef struct { float scale, minimum; } LEVEL(decoder);
RUN_INLINE LEVEL(decoder) LEVEL(affine)(float scale, float minimum) { return (LEVEL(decoder)){scale, minimum}; }
RUN_INLINE LEVEL(decoder) LEVEL(centred)(float scale) { return (LEVEL(decoder)){scale, 0}; }
RUN_INLINE LEVEL(vector) LEVEL(affine_values)(LEVEL(integers) codes, LEVEL(decoder) decoder) {
  return LEVEL(fused)(LEVEL(floats)(codes & 15), decoder.scale, decoder.minimum);
}
RUN_INLINE LEVEL(vector) LEVEL(centred_values)(LEVEL(integers) codes, LEVEL(decoder) decoder) {
  return LEVEL(floats)((codes & 15) - 8) * decoder.scale;
}
#endif

// Scales of runs: d · scale, up to sixteen; or eight, and from the ninth on m · minimum, or −m.
typedef struct { float of[16] __attribute__((aligned(64))); } LEVEL(scales);
enum { LEVEL(kMinima) = 8 };

// Of one block; a short one's are the first.
RUN_INLINE void LEVEL(read_scales)(int kind, const uint8_t *block, LEVEL(scales) *to) {
  if (IS_SHORT(kind)) {
    to->of[0] = half_to_float(block);
    if (kind == SFT_Q4_1) to->of[LEVEL(kMinima)] = -half_to_float(block + 2);
    return;
  }
  if (kind == SFT_Q6_K) {
    float d = half_to_float(block + 208);
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += LANES)
      *(LEVEL(vector) *)(to->of + i) = LEVEL(floats)(LEVEL(signed_codes)(block + 192 + i)) * d;
    return;
  }
  __m128i packed = _mm_loadu_si128((const __m128i *)block);
  byte_sixteen all = (byte_sixteen)scales_and_minima(packed);
  float_four both = (float_four)_mm_cvtph_ps(packed);
#if LANES == 16
  LEVEL(vector) units = __builtin_shufflevector(both, both, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  *(LEVEL(vector) *)to->of = __builtin_convertvector(all, LEVEL(vector)) * units;
#else
  float_eight scales = __builtin_convertvector(__builtin_shufflevector(all, all, 0, 1, 2, 3, 4, 5, 6, 7), float_eight);
  float_eight minima =
      __builtin_convertvector(__builtin_shufflevector(all, all, 8, 9, 10, 11, 12, 13, 14, 15), float_eight);
  float_eight units = __builtin_shufflevector(both, both, 0, 0, 0, 0, 0, 0, 0, 0);
  *(float_eight *)to->of = scales * units;
  *(float_eight *)(to->of + LEVEL(kMinima)) = minima * __builtin_shufflevector(both, both, 1, 1, 1, 1, 1, 1, 1, 1);
#endif
}

// Of a group of 256 elements: a long block, or eight short ones, which are read into one vector.
RUN_INLINE void LEVEL(read_group)(int kind, const uint8_t *group, LEVEL(scales) *to) {
  if (IS_SHORT(kind)) {
    *(float_eight *)to->of = halves_apart(group, BYTES_OF(kind));
    if (kind == SFT_Q4_1) *(float_eight *)(to->of + LEVEL(kMinima)) = -halves_apart(group + 2, BYTES_OF(kind));
  } else {
    LEVEL(read_scales)(kind, group, to);
  }
  // They come back from memory a scalar at a time into all lanes, by the load itself: permuting them would wait for the units
  // that look up codes.
  __asm__ volatile("" : "+m"(*to));
}

// The elements of run `run` of a long block, or of a short block whose scales are number `run`; without their scale, where
// that is to be applied to sums of products with them.
RUN_INLINE void LEVEL(decode_run)(int kind, const uint8_t *block, const LEVEL(scales) *scales, int run, int scaled,
                                  LEVEL(vector) *values) {
  enum { kShort = SFT_SHORT_RUN / LANES, kLong = SFT_LONG_RUN / LANES };
  switch (kind) {
    case SFT_Q4_0: {
      LEVEL(decoder) decoder = LEVEL(centred)(scaled ? scales->of[run] : 1);
#pragma clang loop unroll(full)
      for (int i = 0; i < kShort / 2; i++) {
        LEVEL(integers) codes = LEVEL(codes)(block + 2 + i * LANES);
        values[i] = LEVEL(centred_values)(codes, decoder);
        values[kShort / 2 + i] = LEVEL(centred_values)(codes >> 4, decoder);
      }
      return;
    }
    case SFT_Q4_1: {
      LEVEL(decoder) decoder = LEVEL(affine)(scales->of[run], scales->of[LEVEL(kMinima) + run]);
#pragma clang loop unroll(full)
      for (int i = 0; i < kShort / 2; i++) {
        LEVEL(integers) codes = LEVEL(codes)(block + 4 + i * LANES);
        values[i] = LEVEL(affine_values)(codes, decoder);
        values[kShort / 2 + i] = LEVEL(affine_values)(codes >> 4, decoder);
      }
      return;
    }
    case SFT_Q8_0:
#pragma clang loop unroll(full)
      for (int i = 0; i < kShort; i++) {
        values[i] = LEVEL(floats)(LEVEL(signed_codes)(block + 2 + i * LANES));
        if (scaled) values[i] *= scales->of[run];
      }
      return;
    case SFT_Q4_K: {
      LEVEL(decoder) low = LEVEL(affine)(scales->of[2 * run], scales->of[LEVEL(kMinima) + 2 * run]);
      LEVEL(decoder) high = LEVEL(affine)(scales->of[2 * run + 1], scales->of[LEVEL(kMinima) + 2 * run + 1]);
#pragma clang loop unroll(full)
      for (int i = 0; i < kLong / 2; i++) {
        LEVEL(integers) codes = LEVEL(codes)(block + 16 + 32 * run + i * LANES);
        values[i] = LEVEL(affine_values)(codes, low);
        values[kLong / 2 + i] = LEVEL(affine_values)(codes >> 4, high);
      }
      return;
    }
    default: {
      uint8_t codes[SFT_LONG_RUN] __attribute__((aligned(64)));
      if (kind == SFT_Q5_K)
        codes_of_q5_k(block, run, codes);
      else
        codes_of_q6_k(block, run, codes);
      // Through memory: widening loads need no unit beside the one that widens.
      __asm__ volatile("" : "+m"(codes));
#pragma clang loop unroll(full)
      for (int i = 0; i < kLong; i++)
        if (kind == SFT_Q5_K) {
          int part = 2 * run + i * LANES / 32;
          values[i] = LEVEL(fused)(LEVEL(floats)(LEVEL(codes)(codes + i * LANES)), scales->of[part],
                                   scales->of[LEVEL(kMinima) + part]);
        } else {
          values[i] = LEVEL(floats)(LEVEL(signed_codes)(codes + i * LANES)) * scales->of[4 * run + i * LANES / 16];
        }
    }
  }
}
