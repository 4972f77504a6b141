#include "panel_product.h"

#include "transpose.h"

#if defined(__x86_64__)
#define LEVEL(name) name##_512
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define LANES 16
#define SLICE 4
#define WIDE 6
#include "panel_tile.h"

#define LEVEL(name) name##_256
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define LANES 8
#define SLICE 2
#define WIDE 6
#include "panel_tile.h"
#endif

#define LEVEL(name) name##_128
#define TARGET
#define LANES 4
#define SLICE 2
#define WIDE 4
#include "panel_tile.h"

static void whole_vectors(int level, const sft_panel_product *product) {
#if defined(__x86_64__)
  if (level >= 4) return columns_512(product);
  if (level >= 3) return columns_256(product);
#endif
  (void)level;
  columns_128(product);
}

// Rows of the copy below.
enum { kEdgeRows = 48, kVector = 16 };

// Columns that do not fill a vector: through a copy that is wide enough.
static void edge(int level, const sft_panel_product *product, size_t column) {
  const sft_panel_product *p = product;
  float copy[kEdgeRows * kVector];
  size_t n = p->n - column;
  for (size_t row = 0; row < p->m; row += kEdgeRows) {
    size_t rows = p->m - row < kEdgeRows ? p->m - row : kEdgeRows;
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < kVector; j++) {
        float start = 0;
        if (j < n && p->addend) start = p->addend[(row + i) * p->addend_row + column + j];
        if (j < n && p->bias) start += p->bias[column + j];
        copy[i * kVector + j] = start;
      }
    sft_panel_product part = *p;
    part.a += row * p->a_row;
    part.b += column;
    part.a2 = p->k2 ? p->a2 + row * p->a2_row : NULL;
    part.b2 = p->k2 ? p->b2 + column : NULL;
    part.c = copy;
    part.addend = copy;
    part.c_row = part.addend_row = kVector;
    part.bias = NULL;
    part.m = rows;
    part.n = kVector;
    // The whole vectors have seen to it.
    part.ahead_runs = 0;
    whole_vectors(level, &part);
    for (size_t i = 0; i < rows; i++)
      __builtin_memcpy(p->c + (row + i) * p->c_row + column, copy + i * kVector, n * sizeof(float));
  }
}

void sft_panel_multiply(int level, const sft_panel_product *product) {
  size_t whole = product->n / kVector * kVector;
  if (whole) {
    sft_panel_product part = *product;
    part.n = whole;
    whole_vectors(level, &part);
  }
  if (whole < product->n) edge(level, product, whole);
}

// What tiles read of `n` columns.
static size_t read_columns(size_t n) { return (n + kVector - 1) / kVector * kVector; }

SFT_CLONES void sft_panel_pack(const float *restrict b, size_t b_row, size_t n, size_t k, float scale,
                               float *restrict panel) {
  for (size_t x = 0; x < k; x++, b += b_row, panel += SFT_PANEL) {
    if (n == SFT_PANEL) {
      for (size_t j = 0; j < SFT_PANEL; j++) panel[j] = scale * b[j];
    } else {
      for (size_t j = 0; j < n; j++) panel[j] = scale * b[j];
      for (size_t j = n, end = read_columns(n); j < end; j++) panel[j] = 0;
    }
  }
}

SFT_CLONES void sft_panel_pack_transposed(const float *restrict b, size_t b_row, size_t n, size_t k, float scale,
                                          float *restrict panel) {
  transpose(b, b_row, n, k, scale, panel, SFT_PANEL);
  for (size_t x = 0, end = read_columns(n); n < end && x < k; x++)
    for (size_t j = n; j < end; j++) panel[x * SFT_PANEL + j] = 0;
}
