#include "clones.h"

// Rows of `width` elements; `groups` of them lie side by side in each of `rows` places that are a stride apart, as the heads
// of a row of queries do. rstd: one a group, rows × groups.

SFT_CLONES void sft_rms_norm_forward(const float *x, size_t x_stride, const float *weight, size_t weight_step, float offset,
                                     float epsilon, float *y, size_t y_stride, float *rstd, size_t rows, size_t groups,
                                     size_t width) {
  for (size_t row = 0; row < rows; row++)
    for (size_t group = 0; group < groups; group++) {
      const float *restrict in = x + row * x_stride + group * width, *restrict w = weight + group * weight_step;
      float *out = y + row * y_stride + group * width;
      float squares = 0;
      for (size_t i = 0; i < width; i++) squares += in[i] * in[i];
      float r = 1.0f / __builtin_sqrtf(squares / (float)width + epsilon);
#pragma clang loop vectorize(assume_safety)
      for (size_t i = 0; i < width; i++) out[i] = in[i] * r * (w[i] + offset);
      rstd[row * groups + group] = r;
    }
}

SFT_CLONES void sft_rms_norm_backward(const float *x, size_t x_stride, const float *weight, size_t weight_step,
                                      float offset, const float *rstd, const float *dy, size_t dy_stride, float *dx,
                                      size_t dx_stride, int accumulate, size_t rows, size_t groups, size_t width) {
  for (size_t row = 0; row < rows; row++)
    for (size_t group = 0; group < groups; group++) {
      const float *restrict in = x + row * x_stride + group * width, *restrict w = weight + group * weight_step;
      const float *up = dy + row * dy_stride + group * width;
      float *out = dx + row * dx_stride + group * width;
      float r = rstd[row * groups + group], dot = 0;
      for (size_t i = 0; i < width; i++) dot += up[i] * (w[i] + offset) * in[i];
      float factor = dot * r * r * r / (float)width;
      if (accumulate) {
#pragma clang loop vectorize(assume_safety)
        for (size_t i = 0; i < width; i++) out[i] += up[i] * (w[i] + offset) * r - in[i] * factor;
      } else {
#pragma clang loop vectorize(assume_safety)
        for (size_t i = 0; i < width; i++) out[i] = up[i] * (w[i] + offset) * r - in[i] * factor;
      }
    }
}

SFT_CLONES void sft_rms_norm_backward_weight(const float *x, size_t x_stride, const float *rstd, size_t rstd_stride,
                                             const float *dy, size_t dy_stride, float *restrict dweight, size_t rows,
                                             size_t columns) {
  for (size_t row = 0; row < rows; row++, x += x_stride, dy += dy_stride, rstd += rstd_stride)
    for (size_t i = 0; i < columns; i++) dweight[i] += dy[i] * (x[i] * *rstd);
}
