// An 8-bit copy of a matrix's rows, from which bounds on their products with a vector follow: see HeadShortlist.swift.
#include "clones.h"

#include <math.h>

// Elements whose squares are summed in float32: each sum of so few errs by less than 2^-18 of itself.
enum { kSquares = 64 };

SFT_CLONES int sft_shortlist_encode(const float *restrict row, size_t width, int8_t *restrict bytes, float *scale,
                                    float *error) {
  float largest = 0;
  int infinite = 0;
  for (size_t i = 0; i < width; i++) {
    float magnitude = __builtin_fabsf(row[i]);
    largest = magnitude > largest ? magnitude : largest;
    infinite |= !(magnitude <= 3.402823466e38f);
  }
  float inverse = largest > 0 ? 127 / largest : 0;
  // Numbers so small that they have no inverse are a row of zeros, with an error that says so.
  if (!(inverse <= 3.402823466e38f)) inverse = 0;
  float step = inverse > 0 ? largest / 127 : 0;
  double lost = 0, kept = 0;
  for (size_t first = 0; first < width; first += kSquares) {
    size_t count = width - first < kSquares ? width - first : kSquares;
    // In units of a step, in which nothing is too small or too large to be squared.
    float some_lost = 0, some_kept = 0;
    for (size_t i = first; i < first + count; i++) {
      float exact = row[i] * inverse, rounded = __builtin_rintf(exact);
      bytes[i] = (int8_t)(int32_t)rounded;
      float difference = exact - rounded;
      some_lost += difference * difference;
      some_kept += exact * exact;
    }
    lost += some_lost;
    kept += some_kept;
  }
  // In those units `exact` errs by 2^-23 of itself: the inverse is rounded, and so is the product with it; and `step` differs from
  // the inverse's own by as much again, for which the copy stands.
  double unit = inverse > 0 ? (double)step : 0, norm_kept = sqrt(kept) * (1 + 0x1p-18);
  double norm = sqrt(lost) * (1 + 0x1p-18) + 4 * 0x1p-23 * norm_kept;
  if (inverse == 0) {
    // Of zeros all is lost.
    double squares = 0;
    for (size_t i = 0; i < width; i++) squares += (double)row[i] * row[i];
    norm = sqrt(squares), norm_kept = norm, unit = 1;
  }
  // Either product is computed in float32, in some order of at most `width` sums.
  double rounding = (double)(width + 8) * 0x1p-24;
  *scale = step;
  *error = (float)(unit * (norm + rounding * (2 * norm_kept + norm)) * (1 + 1e-6));
  return !infinite;
}

// Products of bytes with x in 16 bits that a 32-bit sum holds in any case.
enum { kProducts = 512 };

// Exact.
SFT_INLINE int64_t product_of_bytes(const int8_t *restrict bytes, const int16_t *restrict x, size_t width) {
  int64_t total = 0;
  for (size_t first = 0; first < width; first += kProducts) {
    size_t count = width - first < kProducts ? width - first : kProducts;
    int32_t sum = 0;
    for (size_t i = first; i < first + count; i++) sum += (int32_t)bytes[i] * (int32_t)x[i];
    total += sum;
  }
  return total;
}

SFT_CLONES void sft_shortlist_query(const float *restrict x, size_t width, int16_t *restrict words, float *unit,
                                    float *error) {
  float largest = 0;
  for (size_t i = 0; i < width; i++) {
    float magnitude = __builtin_fabsf(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  float inverse = largest > 0 ? 32767 / largest : 0;
  if (!(inverse <= 3.402823466e38f)) inverse = 0;
  *unit = inverse > 0 ? largest / 32767 : 0;
  double lost = 0;
  for (size_t i = 0; i < width; i++) {
    float rounded = __builtin_rintf(x[i] * inverse);
    words[i] = (int16_t)rounded;
    double difference = (double)x[i] - (double)*unit * rounded;
    lost += difference * difference;
  }
  *error = (float)(sqrt(lost) * (1 + 1e-6));
}

SFT_CLONES float sft_shortlist_bounds(const int8_t *restrict bytes, const float *restrict scales,
                                      const float *restrict errors, size_t rows, size_t width,
                                      const int16_t *restrict words, float unit, float x_norm, float x_error,
                                      float *restrict upper) {
  float lowest = -INFINITY;
  // A byte is at most 127, so a row of them has at most this norm.
  double row_norm = 127 * sqrt((double)width) * (1 + 1e-6);
  for (size_t row = 0; row < rows; row++, bytes += width) {
    double product = (double)scales[row] * (double)unit * (double)product_of_bytes(bytes, words, width);
    double slack = (double)errors[row] * x_norm + (double)scales[row] * row_norm * x_error;
    // A row without bounds has NaN as its error: it neither passes a comparison here nor is any candidate. The rounding to
    // float32 is included, that of doubles far less.
    slack += 0x1p-22 * (__builtin_fabs(product) + slack);
    float lower = (float)(product - slack);
    upper[row] = (float)(product + slack);
    lowest = lower > lowest ? lower : lowest;
  }
  return lowest;
}
