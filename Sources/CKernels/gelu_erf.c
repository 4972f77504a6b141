// GELU by its definition (Hendrycks & Gimpel 2016), x · Φ(x) with Φ the normal distribution: plain, and gated as in gated.c.
#include <math.h>

#include "clones.h"

static const float kRootHalf = 0.70710678f;
static const float kRootHalfOverPi = 0.39894228f;

// Φ(x) = erfc(-x/√2) / 2. erfc is a Chebyshev fit (Press et al., Numerical Recipes, erfcc), which is within 1.2e-7 of it
// relatively, so that Φ is exact to a few ulp on the left, too, where it is small; no branch, so it vectorises.
SFT_INLINE float normal(float x) {
  float z = kRootHalf * fabsf(x);
  float t = 1.0f / (1.0f + 0.5f * z);
  float p = 0.17087277f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  float tail = 0.5f * t * sft_exp(p - z * z);
  return x < 0.0f ? tail : 1.0f - tail;
}

// The derivative of x · Φ(x), from Φ(x).
SFT_INLINE float slope(float x, float phi) { return phi + x * kRootHalfOverPi * sft_exp(-0.5f * x * x); }

SFT_CLONES void sft_gelu_erf_forward(const float *restrict x, float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = x[i] * normal(x[i]);
}

SFT_CLONES void sft_gelu_erf_backward(const float *x, const float *dy, float *dx, size_t n) {
#pragma clang loop vectorize(assume_safety)
  for (size_t i = 0; i < n; i++) dx[i] = dy[i] * slope(x[i], normal(x[i]));
}

SFT_CLONES void sft_gelu_erf_gate_forward(const float *x, float *y, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += 2 * width, y += width) {
    const float *restrict gate = x, *restrict up = x + width;
    float *restrict out = y;
    for (size_t i = 0; i < width; i++) out[i] = gate[i] * normal(gate[i]) * up[i];
  }
}

SFT_CLONES void sft_gelu_erf_gate_backward(const float *x, const float *dy, float *dx, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += 2 * width, dy += width, dx += 2 * width) {
    const float *restrict gate = x, *restrict up = x + width, *restrict upstream = dy;
    float *restrict dgate = dx, *restrict dup = dx + width;
    for (size_t i = 0; i < width; i++) {
      float v = gate[i], phi = normal(v);
      dgate[i] = upstream[i] * up[i] * slope(v, phi);
      dup[i] = upstream[i] * v * phi;
    }
  }
}
