#include "panel_product.h"

#include "clones.h"

#if defined(__x86_64__)
#define LEVEL(name) name##_512
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define LANES 16
#define SLICE 4
#define WIDE 6
#define NARROW 24
#include "panel_tile.h"

#define LEVEL(name) name##_256
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define LANES 8
#define SLICE 2
#define WIDE 6
#define NARROW 12
#include "panel_tile.h"
#endif

#define LEVEL(name) name##_128
#define TARGET
#define LANES 4
#define SLICE 2
#define WIDE 4
#define NARROW 8
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
    part.c = copy;
    part.addend = copy;
    part.c_row = part.addend_row = kVector;
    part.bias = NULL;
    part.m = rows;
    part.n = kVector;
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

SFT_CLONES void sft_panel_pack(const float *restrict b, size_t b_row, size_t n, size_t k, float scale,
                               float *restrict panel) {
  for (size_t x = 0; x < k; x++, b += b_row, panel += SFT_PANEL) {
    if (n == SFT_PANEL) {
      for (size_t j = 0; j < SFT_PANEL; j++) panel[j] = scale * b[j];
    } else {
      for (size_t j = 0; j < n; j++) panel[j] = scale * b[j];
      for (size_t j = n; j < SFT_PANEL; j++) panel[j] = 0;
    }
  }
}

typedef float eight __attribute__((ext_vector_type(8), aligned(4)));

// panel[x][j] = scale · b[j][x] for 8 × 8 elements.
SFT_INLINE void transpose_eight(const float *b, size_t b_row, float scale, float *panel) {
  eight r[8], s[8];
  for (int i = 0; i < 8; i++) r[i] = *(const eight *)(b + i * b_row) * scale;
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = i; j < i + 2; j++) {
      r[j] = __builtin_shufflevector(s[j], s[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[j + 2] = __builtin_shufflevector(s[j], s[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    *(eight *)(panel + i * SFT_PANEL) = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *(eight *)(panel + (i + 4) * SFT_PANEL) = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

SFT_CLONES void sft_panel_pack_transposed(const float *restrict b, size_t b_row, size_t n, size_t k, float scale,
                                          float *restrict panel) {
  size_t whole_n = n / 8 * 8, whole_k = k / 8 * 8;
  for (size_t x = 0; x < whole_k; x += 8)
    for (size_t j = 0; j < whole_n; j += 8) transpose_eight(b + j * b_row + x, b_row, scale, panel + x * SFT_PANEL + j);
  for (size_t x = 0; x < k; x++) {
    for (size_t j = x < whole_k ? whole_n : 0; j < n; j++) panel[x * SFT_PANEL + j] = scale * b[j * b_row + x];
    for (size_t j = n; j < SFT_PANEL; j++) panel[x * SFT_PANEL + j] = 0;
  }
}
