#include "ggml_block.h"
#include "half_float.h"

#pragma clang fp contract(off) reassociate(off)

size_t sft_block_length(int kind) { return LENGTH_OF(kind); }
size_t sft_block_bytes(int kind) { return BYTES_OF(kind); }

static float half_at(const uint8_t *bytes) {
  uint16_t bits;
  __builtin_memcpy(&bits, bytes, sizeof bits);
  return half_float(bits);
}

// Twelve bytes of 6-bit numbers as bytes: eight scales, then eight minima. The first four of either have bytes of their own,
// whose upper two bits are those of the last four; the lower four bits of these share the last four bytes.
SFT_INLINE void unpack_six_bits(const uint8_t *packed, uint64_t both[2]) {
  uint32_t scales, minima, last;
  __builtin_memcpy(&scales, packed, 4);
  __builtin_memcpy(&minima, packed + 4, 4);
  __builtin_memcpy(&last, packed + 8, 4);
  both[0] = (uint64_t)((last & 0x0f0f0f0f) | (scales >> 2 & 0x30303030)) << 32 | (scales & 0x3f3f3f3f);
  both[1] = (uint64_t)((last >> 4 & 0x0f0f0f0f) | (minima >> 2 & 0x30303030)) << 32 | (minima & 0x3f3f3f3f);
}

// The reference, and all there is on other CPUs: an element of a block.
static inline float element(int kind, const uint8_t *block, size_t index) {
  switch (kind) {
    case SFT_Q4_0: {
      uint8_t byte = block[2 + index % 16];
      return (float)((index < 16 ? byte & 15 : byte >> 4) - 8) * half_at(block);
    }
    case SFT_Q4_1: {
      uint8_t byte = block[4 + index % 16];
      return (float)(index < 16 ? byte & 15 : byte >> 4) * half_at(block) + half_at(block + 2);
    }
    case SFT_Q8_0: return (float)(int8_t)block[2 + index] * half_at(block);
    case SFT_Q4_K:
    case SFT_Q5_K: {
      uint64_t both[2];
      unpack_six_bits(block + 4, both);
      size_t part = index / 32;
      float scale = half_at(block) * (float)(both[0] >> 8 * part & 255);
      float minimum = half_at(block + 2) * (float)(both[1] >> 8 * part & 255);
      uint8_t byte = block[(kind == SFT_Q4_K ? 16 : 48) + part / 2 * 32 + index % 32];
      int code = part % 2 ? byte >> 4 : byte & 15;
      if (kind == SFT_Q5_K) code |= (block[16 + index % 32] >> part & 1) << 4;
      return scale * (float)code - minimum;
    }
    default: {
      size_t half = index / 128, part = index % 128 / 32;
      uint8_t byte = block[half * 64 + part % 2 * 32 + index % 32];
      int pair = block[128 + half * 32 + index % 32] >> 2 * part & 3;
      int code = (part < 2 ? byte & 15 : byte >> 4) | pair << 4;
      return half_at(block + 208) * (float)(int8_t)block[192 + index / 16] * (float)(code - 32);
    }
  }
}

static void decode_elements(int kind, const uint8_t *blocks, size_t first, size_t end, float *out) {
  size_t length = LENGTH_OF(kind), bytes = BYTES_OF(kind);
  for (; first < end; first++) *out++ = element(kind, blocks + first / length * bytes, first % length);
}

#ifdef SFT_X86_VECTORS
// Runs first ..< end, counted from the first of the blocks.
#define DECODE(name, kind, LEVEL, TARGET, LANES)                                                                       \
  TARGET static void LEVEL(name)(const uint8_t *blocks, size_t first, size_t end, float *out) {                        \
    enum { kRuns = LENGTH_OF(kind) / RUN_OF(kind), kVectors = RUN_OF(kind) / LANES };                                  \
    const uint8_t *block = blocks + first / kRuns * BYTES_OF(kind);                                                    \
    for (size_t at = first / kRuns * kRuns; at < end; block += BYTES_OF(kind), at += kRuns) {                          \
      LEVEL(scales) scales;                                                                                            \
      LEVEL(read_scales)(kind, block, &scales);                                                                        \
      _Pragma("clang loop unroll(full)") for (int run = 0; run < kRuns; run++) {                                       \
        if (at + (size_t)run < first || at + (size_t)run >= end) continue;                                             \
        LEVEL(vector) values[kVectors];                                                                                \
        LEVEL(decode_run)(kind, block, &scales, run, 1, values);                                                       \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < kVectors; i++, out += LANES) *(LEVEL(vector) *)out =    \
            values[i];                                                                                                 \
      }                                                                                                                \
    }                                                                                                                  \
  }
#define DECODE_ALL(LEVEL, TARGET, LANES)         \
  DECODE(q4_0, SFT_Q4_0, LEVEL, TARGET, LANES)   \
  DECODE(q4_1, SFT_Q4_1, LEVEL, TARGET, LANES)   \
  DECODE(q8_0, SFT_Q8_0, LEVEL, TARGET, LANES)   \
  DECODE(q4_k, SFT_Q4_K, LEVEL, TARGET, LANES)   \
  DECODE(q5_k, SFT_Q5_K, LEVEL, TARGET, LANES)   \
  DECODE(q6_k, SFT_Q6_K, LEVEL, TARGET, LANES)
#define OF_512(name) name##_512
#define OF_256(name) name##_256
DECODE_ALL(OF_512, SFT_TARGET_512, 16)
DECODE_ALL(OF_256, SFT_TARGET_256, 8)

typedef void decoder(const uint8_t *, size_t, size_t, float *);
static decoder *const decoders[2][6] = {
    {q4_0_256, q4_1_256, q8_0_256, q4_k_256, q5_k_256, q6_k_256},
    {q4_0_512, q4_1_512, q8_0_512, q4_k_512, q5_k_512, q6_k_512},
};

// Runs of which a part is wanted go through a copy.
static void decode_runs(decoder *decode, size_t run, const uint8_t *blocks, size_t first, size_t end, float *out) {
  while (first < end) {
    size_t from = first % run, whole = (end - first) / run * run;
    if (from == 0 && whole) {
      decode(blocks, first / run, (first + whole) / run, out);
      first += whole, out += whole;
      continue;
    }
    float copy[SFT_LONG_RUN];
    size_t some = run - from < end - first ? run - from : end - first;
    decode(blocks, first / run, first / run + 1, copy);
    __builtin_memcpy(out, copy + from, some * sizeof(float));
    first += some, out += some;
  }
}
#endif

void sft_blocks_decode(int level, int kind, const uint8_t *blocks, size_t first, size_t count, float *out) {
#ifdef SFT_X86_VECTORS
  if (level >= 3) return decode_runs(decoders[level >= 4][kind], RUN_OF(kind), blocks, first, first + count, out);
#endif
  (void)level;
  decode_elements(kind, blocks, first, first + count, out);
}

int sft_blocks_are_finite(int kind, const uint8_t *blocks, size_t count) {
  size_t bytes = BYTES_OF(kind), d = kind == SFT_Q6_K ? 208 : 0;
  int has_minimum = kind == SFT_Q4_1 || kind == SFT_Q4_K || kind == SFT_Q5_K;
  for (; count > 0; count--, blocks += bytes) {
    uint16_t bits[2] = {0, 0};
    __builtin_memcpy(bits, blocks + d, has_minimum ? 4 : 2);
    if ((bits[0] & 0x7c00) == 0x7c00 || (bits[1] & 0x7c00) == 0x7c00) return 0;
  }
  return 1;
}
