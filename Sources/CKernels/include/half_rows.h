// Products of rows of 16-bit weights with 1 to 8 x at once, from x86-64 level 3 on.
#ifndef HALF_ROWS_H
#define HALF_ROWS_H

#include <stddef.h>
#include <stdint.h>

// How many x at once a level has instructions for.
int sft_half_most_rows(int level);
// y(i, r) (+)= row r of w[rows, width] times x(i), for 1 to 8 x: `count` of them, x_row floats apart; y's rows are y_row floats
// apart. Each sum is made in one order at a level, whatever `rows` and `count` are.
void sft_half_few_rows(int level, const uint16_t *w, size_t w_row, size_t rows, size_t width, int is_bfloat16,
                       const float *x, size_t x_row, size_t count, float *y, size_t y_row, int accumulate);

#endif
