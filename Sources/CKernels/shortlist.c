// An 8-bit copy of a matrix's rows, from which bounds on their products with a vector follow: see HeadShortlist.swift.
#include "clones.h"

#include <math.h>

typedef int8_t sft_sixteen_bytes __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef float sft_sixteen_floats __attribute__((ext_vector_type(16), aligned(4), may_alias));

SFT_CLONES int sft_shortlist_encode(const float *restrict row, size_t width, int8_t *restrict bytes, float *scale,
                                    float *error) {
  float largest = 0;
  int finite = 1;
  for (size_t i = 0; i < width; i++) {
    float magnitude = __builtin_fabsf(row[i]);
    largest = magnitude > largest ? magnitude : largest;
    finite &= magnitude <= 3.402823466e38f;
  }
  float inverse = largest > 0 ? 127 / largest : 0;
  // Numbers so small that they have no inverse are a row of zeros, with an error that says so.
  if (!(inverse <= 3.402823466e38f)) inverse = 0;
  float step = inverse > 0 ? largest / 127 : 0;
  double lost = 0, kept = 0;
  for (size_t i = 0; i < width; i++) {
    float rounded = __builtin_rintf(row[i] * inverse);
    bytes[i] = (int8_t)rounded;
    double value = (double)step * rounded, difference = (double)row[i] - value;
    lost += difference * difference;
    kept += (double)row[i] * row[i];
  }
  // Either product is computed in float32, in some order of at most `width` sums.
  double rounding = (double)(width + 8) * 0x1p-24;
  double norm = sqrt(lost);
  *scale = step;
  *error = (float)((norm + rounding * (2 * sqrt(kept) + norm)) * (1 + 1e-6));
  return finite;
}

SFT_CLONES float sft_shortlist_bounds(const int8_t *restrict bytes, const float *restrict scales,
                                      const float *restrict errors, size_t rows, size_t width, const float *restrict x,
                                      float x_norm, float *restrict upper) {
  float lowest = -INFINITY;
  for (size_t row = 0; row < rows; row++, bytes += width) {
    sft_sixteen_floats sums[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 64 <= width; i += 64)
      for (int part = 0; part < 4; part++)
        sums[part] += __builtin_convertvector(*(const sft_sixteen_bytes *)(bytes + i + 16 * part), sft_sixteen_floats) *
                      *(const sft_sixteen_floats *)(x + i + 16 * part);
    sft_sixteen_floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    float sum = 0;
    for (int lane = 0; lane < 16; lane++) sum += all[lane];
    for (; i < width; i++) sum += (float)bytes[i] * x[i];
    float product = scales[row] * sum, slack = errors[row] * x_norm;
    // A row without bounds has NaN as its error: it neither passes a comparison here nor is any candidate.
    float lower = product - slack;
    slack += 0x1p-22f * (__builtin_fabsf(product) + slack);
    lower -= 0x1p-22f * (__builtin_fabsf(product) + slack);
    upper[row] = product + slack;
    lowest = lower > lowest ? lower : lowest;
  }
  return lowest;
}
