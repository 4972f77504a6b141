#include "clones.h"

SFT_CLONES void sft_layer_norm_forward(const float *restrict x, const float *restrict weight, const float *restrict bias,
                                       float epsilon, float *restrict y, float *restrict mean, float *restrict rstd,
                                       size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += width, y += width) {
    float sum = 0, squares = 0;
    for (size_t i = 0; i < width; i++) sum += x[i];
    float m = sum / (float)width;
    for (size_t i = 0; i < width; i++) squares += (x[i] - m) * (x[i] - m);
    float r = 1.0f / __builtin_sqrtf(squares / (float)width + epsilon);
    for (size_t i = 0; i < width; i++) y[i] = (x[i] - m) * r * weight[i] + bias[i];
    mean[row] = m;
    rstd[row] = r;
  }
}

SFT_CLONES void sft_layer_norm_backward(const float *restrict x, const float *restrict weight,
                                        const float *restrict mean, const float *restrict rstd,
                                        const float *restrict dy, float *restrict dx, size_t rows, size_t width) {
  for (size_t row = 0; row < rows; row++, x += width, dy += width, dx += width) {
    float m = mean[row], r = rstd[row], sum = 0, dot = 0;
    for (size_t i = 0; i < width; i++) {
      float g = dy[i] * weight[i];
      sum += g;
      dot += g * (x[i] - m) * r;
    }
    sum /= (float)width;
    dot /= (float)width;
    for (size_t i = 0; i < width; i++) dx[i] += (dy[i] * weight[i] - sum - (x[i] - m) * r * dot) * r;
  }
}

SFT_CLONES void sft_layer_norm_backward_parameters(const float *restrict x, const float *restrict mean,
                                                   const float *restrict rstd, const float *restrict dy,
                                                   float *restrict dweight, float *restrict dbias, size_t rows,
                                                   size_t stride, size_t columns) {
  for (size_t row = 0; row < rows; row++, x += stride, dy += stride) {
    float m = mean[row], r = rstd[row];
    for (size_t i = 0; i < columns; i++) {
      dweight[i] += dy[i] * ((x[i] - m) * r);
      dbias[i] += dy[i];
    }
  }
}
