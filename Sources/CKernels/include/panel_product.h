// Matrix products against panels: up to SFT_PANEL columns of B, laid out so that each step over k reads them in one run.
#ifndef PANEL_PRODUCT_H
#define PANEL_PRODUCT_H
#include <stddef.h>

// Columns of a panel.
enum { SFT_PANEL = 64 };

// C[m, n] = addend[m, n] + bias[n] + A[m, k] · B[k, n] + A2[m, k2] · B2[k2, n] with n <= SFT_PANEL.
typedef struct {
  // A(i, x) = a[i · a_row + x · a_step].
  const float *a;
  size_t a_row, a_step;
  // B(x, j) = b[x · b_row + j]; readable up to the next multiple of 16 columns, or SFT_PANEL.
  const float *b;
  size_t b_row;
  // The same, rows of A2 contiguous; k2 is 0 where there is no second product.
  const float *a2;
  size_t a2_row;
  const float *b2;
  size_t b2_row, k2;
  float *c;
  size_t c_row;
  // NULL for zero; may be c.
  const float *addend;
  size_t addend_row;
  // NULL for zero.
  const float *bias;
  size_t m, n, k;
  // What will be read next: runs of SFT_PANEL · SFT_PANEL floats, `ahead_step` floats apart; brought into the second-level
  // cache on the way, as the hardware does not foresee jumps. `ahead_runs` is 0 for none.
  const float *ahead;
  size_t ahead_runs, ahead_step;
} sft_panel_product;

// `level` as of sft_cpu_level. Each element is summed over k in one order, whatever m and n are.
void sft_panel_multiply(int level, const sft_panel_product *product);

// panel[k][SFT_PANEL] = scale · B, B(x, j) = b[x · b_row + j] for j < n; columns from n on are zero, up to a
// multiple of 16: nothing beyond is read.
void sft_panel_pack(const float *b, size_t b_row, size_t n, size_t k, float scale, float *panel);
// The same of a B stored transposed: B(x, j) = b[j · b_row + x].
void sft_panel_pack_transposed(const float *b, size_t b_row, size_t n, size_t k, float scale, float *panel);

// y[rows] = W · x with W[rows, width] in rows of w_row: one row of A against a B that is stored transposed.
void sft_row_products(const float *w, size_t w_row, size_t rows, size_t width, const float *x, float *y);

#endif
