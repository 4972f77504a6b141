// Gated activations (Shazeer 2020): y = act(gate) · up, where gate and up lie side by side in rows of 2 · width.
#include "clones.h"

static const float kTwoRootTwoOverPi = 1.5957691216f;
static const float kCubic = 0.044715f;

SFT_INLINE float sigmoid(float x) { return 1.0f / (1.0f + sft_exp(-x)); }

SFT_CLONES void sft_silu_gate_forward(const float *x, float *y, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += 2 * width, y += width) {
    const float *restrict gate = x, *restrict up = x + width;
    float *restrict out = y;
    for (size_t i = 0; i < width; i++) out[i] = gate[i] * sigmoid(gate[i]) * up[i];
  }
}

SFT_CLONES void sft_silu_gate_backward(const float *x, const float *dy, float *dx, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += 2 * width, dy += width, dx += 2 * width) {
    const float *restrict gate = x, *restrict up = x + width, *restrict upstream = dy;
    float *restrict dgate = dx, *restrict dup = dx + width;
    for (size_t i = 0; i < width; i++) {
      float s = sigmoid(gate[i]), v = gate[i];
      dgate[i] = upstream[i] * up[i] * (s + v * s * (1.0f - s));
      dup[i] = upstream[i] * v * s;
    }
  }
}

SFT_CLONES void sft_gelu_gate_forward(const float *x, float *y, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += 2 * width, y += width) {
    const float *restrict gate = x, *restrict up = x + width;
    float *restrict out = y;
    for (size_t i = 0; i < width; i++) {
      float v = gate[i];
      out[i] = v * sigmoid(kTwoRootTwoOverPi * (v + kCubic * v * v * v)) * up[i];
    }
  }
}

SFT_CLONES void sft_gelu_gate_backward(const float *x, const float *dy, float *dx, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += 2 * width, dy += width, dx += 2 * width) {
    const float *restrict gate = x, *restrict up = x + width, *restrict upstream = dy;
    float *restrict dgate = dx, *restrict dup = dx + width;
    for (size_t i = 0; i < width; i++) {
      float v = gate[i], s = sigmoid(kTwoRootTwoOverPi * (v + kCubic * v * v * v));
      float slope = kTwoRootTwoOverPi * (1.0f + 3.0f * kCubic * v * v);
      dgate[i] = upstream[i] * up[i] * (s + v * s * (1.0f - s) * slope);
      dup[i] = upstream[i] * v * s;
    }
  }
}
