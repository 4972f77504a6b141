// Bounds on the products of a matrix's rows with a vector, from an 8-bit copy of the rows.
#ifndef SHORTLIST_H
#define SHORTLIST_H

#include <stddef.h>
#include <stdint.h>

// One row: bytes[width] and the step between them; `error` · ‖x‖ bounds what the product of the bytes with any x may differ
// from the row's own, rounding of either included. 0 where the row holds an infinity or NaN.
int sft_shortlist_encode(const float *row, size_t width, int8_t *bytes, float *scale, float *error);

// x[width] in 16 bits: words times `unit`, which together differ from x by a vector of at most `error` as its norm.
void sft_shortlist_query(const float *x, size_t width, int16_t *words, float *unit, float *error);

// upper[rows]: what the rows' products with x are at most; returns what the largest of them is at least. A row whose error is
// NaN has no part in it, and NaN as its bound. x_norm is ‖x‖ or somewhat more.
float sft_shortlist_bounds(const int8_t *bytes, const float *scales, const float *errors, size_t rows, size_t width,
                           const int16_t *words, float unit, float x_norm, float x_error, float *upper);

#endif
