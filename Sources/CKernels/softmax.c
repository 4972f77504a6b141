#include "clones.h"
#include <math.h>

SFT_CLONES void sft_row_log_sum_exp(const float *restrict logits, size_t width, float *log_sum_exp, size_t *argmax) {
  float largest = logits[0];
  for (size_t i = 1; i < width; i++) largest = logits[i] > largest ? logits[i] : largest;
  size_t first = 0;
  while (first + 1 < width && !(logits[first] == largest)) first++;
  float sum = 0;
  for (size_t i = 0; i < width; i++) sum += sft_exp(logits[i] - largest);
  *log_sum_exp = largest + logf(sum);
  *argmax = first;
}

SFT_CLONES void sft_row_softmax_scaled(float *logits, size_t width, float log_sum_exp, float scale) {
  for (size_t i = 0; i < width; i++) logits[i] = scale * sft_exp(logits[i] - log_sum_exp);
}
