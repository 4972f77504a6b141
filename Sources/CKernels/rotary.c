#include "clones.h"

// x[heads][head_width] in place: pairs (i, i + half) of each head turn by the angles whose cosines and sines [half] are given.
SFT_CLONES void sft_rotate(float *x, size_t heads, size_t head_width, size_t half, const float *restrict cosines,
                           const float *restrict sines) {
  for (size_t head = 0; head < heads; head++, x += head_width) {
    float *restrict a = x, *restrict b = x + half;
    for (size_t i = 0; i < half; i++) {
      float first = a[i], second = b[i];
      a[i] = first * cosines[i] - second * sines[i];
      b[i] = second * cosines[i] + first * sines[i];
    }
  }
}

// The transpose of sft_rotate: where it is an orthogonal turn, the turn back.
SFT_CLONES void sft_rotate_back(float *x, size_t heads, size_t head_width, size_t half, const float *restrict cosines,
                                const float *restrict sines) {
  for (size_t head = 0; head < heads; head++, x += head_width) {
    float *restrict a = x, *restrict b = x + half;
    for (size_t i = 0; i < half; i++) {
      float first = a[i], second = b[i];
      a[i] = first * cosines[i] + second * sines[i];
      b[i] = second * cosines[i] - first * sines[i];
    }
  }
}
