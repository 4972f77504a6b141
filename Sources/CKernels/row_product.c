#include "clones.h"

// Four rows at a time: they share the loads of x, and their sums are independent.
SFT_INLINE void four_rows(const float *restrict w, size_t w_row, size_t width, const float *restrict x,
                          float *restrict sums) {
  const float *second = w + w_row, *third = second + w_row, *fourth = third + w_row;
  float a = 0, b = 0, c = 0, d = 0;
  for (size_t i = 0; i < width; i++) {
    a += w[i] * x[i];
    b += second[i] * x[i];
    c += third[i] * x[i];
    d += fourth[i] * x[i];
  }
  sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

SFT_CLONES void sft_row_products(const float *w, size_t w_row, size_t rows, size_t width, const float *x, float *y) {
  size_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    float sums[4];
    four_rows(w + row * w_row, w_row, width, x, sums);
    for (int i = 0; i < 4; i++) y[row + i] = sums[i];
  }
  for (; row < rows; row++) {
    float sum = 0;
    for (size_t i = 0; i < width; i++) sum += w[row * w_row + i] * x[i];
    y[row] = sum;
  }
}
