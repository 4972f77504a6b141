#include "clones.h"
#include <math.h>

// gelu(x) = x · σ(2u), u = √(2/π)(x + 0.044715 x³): the tanh form, without the cancellation of 1 + tanh u.
static const float kTwoRootTwoOverPi = 1.5957691216f;
static const float kCubic = 0.044715f;

SFT_CLONES void sft_gelu_forward(const float *restrict x, float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float v = x[i];
    y[i] = v / (1.0f + sft_exp(-kTwoRootTwoOverPi * (v + kCubic * v * v * v)));
  }
}

SFT_CLONES void sft_gelu_backward(const float *x, const float *dy, float *dx, size_t n) {
#pragma clang loop vectorize(assume_safety)
  for (size_t i = 0; i < n; i++) {
    float v = x[i];
    float s = 1.0f / (1.0f + sft_exp(-kTwoRootTwoOverPi * (v + kCubic * v * v * v)));
    float slope = kTwoRootTwoOverPi * (1.0f + 3.0f * kCubic * v * v);
    dx[i] = dy[i] * (s + v * s * (1.0f - s) * slope);
  }
}

SFT_CLONES void sft_add_bias(const float *restrict bias, float *restrict y, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, y += width)
    for (size_t i = 0; i < width; i++) y[i] += bias[i];
}

SFT_CLONES void sft_sum_rows(const float *restrict x, float *restrict sums, size_t rows, size_t stride,
                             size_t columns) {
  for (size_t row = 0; row < rows; row++, x += stride)
    for (size_t i = 0; i < columns; i++) sums[i] += x[i];
}

SFT_CLONES void sft_dropout(const float *x, float *y, size_t n, uint64_t seed, uint64_t first_index, float p,
                            int accumulate) {
  uint64_t threshold = sft_dropout_threshold(p);
  float keep_scale = 1.0f / (1.0f - p);
  for (size_t i = 0; i < n; i++) {
    float value = sft_dropout_bits(seed, first_index + i) >= threshold ? x[i] * keep_scale : 0.0f;
    y[i] = accumulate ? y[i] + value : value;
  }
}

SFT_CLONES void sft_adamw(float *restrict parameters, const float *restrict gradients, float *restrict m,
                          float *restrict v, size_t n, sft_adamw_factors f) {
  for (size_t i = 0; i < n; i++) {
    float g = gradients[i] * f.gradient_scale;
    m[i] = m[i] + (g - m[i]) * f.one_minus_beta1;
    v[i] = v[i] * f.beta2 + g * g * f.one_minus_beta2;
    float denominator = __builtin_sqrtf(v[i]) / f.bias_correction2_sqrt + f.epsilon;
    parameters[i] = parameters[i] * f.decay - f.step_size * (m[i] / denominator);
  }
}
