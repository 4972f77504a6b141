// The tile of sft_panel_multiply for one vector width; included once a level, with
//   LEVEL(name)   the function's name at this level
//   TARGET        the attribute that selects the instructions
//   LANES         floats of a vector
//   SLICE         vectors of columns a tile spans at most (SFT_PANEL is a multiple of SLICE · LANES)
//   WIDE          rows of a tile of SLICE vectors: as many as the registers hold
//
// A tile keeps its sums in registers over the whole of k, and each step multiplies one element of A with vectors of B that
// serve all its rows. The caller's panel stays in the second-level cache.

typedef float LEVEL(vector) __attribute__((ext_vector_type(LANES), aligned(4)));

// sums += A · B over k steps.
TARGET static inline __attribute__((always_inline)) void LEVEL(steps)(LEVEL(vector) *sums, const float *a, size_t a_row,
                                                                      size_t a_step, const float *b, size_t b_row,
                                                                      size_t k, size_t rows, size_t vectors) {
  for (size_t x = k; x > 0; x--, a += a_step, b += b_row) {
    LEVEL(vector) columns[SLICE];
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) columns[j] = *(const LEVEL(vector) *)(b + j * LANES);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < rows; i++) {
      LEVEL(vector) element = a[i * a_row];
#pragma clang loop unroll(full)
      for (size_t j = 0; j < vectors; j++) sums[i * vectors + j] += element * columns[j];
    }
  }
}

// Brings near the share of what is read next that a tile is of the whole product.
static inline void LEVEL(prefetch)(const sft_panel_product *p, size_t row, size_t column, size_t rows, size_t columns) {
  enum { kLine = 64 / sizeof(float), kRun = SFT_PANEL * SFT_PANEL / kLine };
  size_t lines = p->ahead_runs * kRun, all = p->m * p->n;
  size_t done = column * p->m + row * columns;
  for (size_t l = done * lines / all, end = (done + rows * columns) * lines / all; l < end; l++)
    __builtin_prefetch(p->ahead + l / kRun * p->ahead_step + l % kRun * kLine, 0, 2);
}

// Inlined with constant `rows` and `vectors`, so that `sums` are registers.
TARGET static inline __attribute__((always_inline)) void LEVEL(tile)(const sft_panel_product *p, size_t row, size_t column,
                                                                     size_t rows, size_t vectors) {
  if (p->ahead_runs) LEVEL(prefetch)(p, row, column, rows, vectors * LANES);
  LEVEL(vector) sums[WIDE * SLICE];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) {
      size_t at = column + j * LANES;
      LEVEL(vector) start = 0;
      if (p->addend) start = *(const LEVEL(vector) *)(p->addend + (row + i) * p->addend_row + at);
      if (p->bias) start += *(const LEVEL(vector) *)(p->bias + at);
      sums[i * vectors + j] = start;
    }
  LEVEL(steps)(sums, p->a + row * p->a_row, p->a_row, p->a_step, p->b + column, p->b_row, p->k, rows, vectors);
  if (p->k2)
    LEVEL(steps)(sums, p->a2 + row * p->a2_row, p->a2_row, 1, p->b2 + column, p->b2_row, p->k2, rows, vectors);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++)
      *(LEVEL(vector) *)(p->c + (row + i) * p->c_row + column + j * LANES) = sums[i * vectors + j];
}

// All rows of `vectors` columns of vectors: full tiles, then ever smaller ones.
#define LEVEL_ROWS(name, full, vectors)                                                                             \
  TARGET static void LEVEL(name)(const sft_panel_product *p, size_t column) {                                       \
    size_t row = 0;                                                                                                 \
    for (; row + (full) <= p->m; row += (full)) LEVEL(tile)(p, row, column, full, vectors);                         \
    for (; (full) > 8 && row + 8 <= p->m; row += 8) LEVEL(tile)(p, row, column, (full) > 8 ? 8 : 1, vectors);       \
    for (; (full) > 4 && row + 4 <= p->m; row += 4) LEVEL(tile)(p, row, column, (full) > 4 ? 4 : 1, vectors);       \
    for (; (full) > 2 && row + 2 <= p->m; row += 2) LEVEL(tile)(p, row, column, (full) > 2 ? 2 : 1, vectors);       \
    for (; row < p->m; row++) LEVEL(tile)(p, row, column, 1, vectors);                                              \
  }
LEVEL_ROWS(wide, WIDE, SLICE)
// Not more than 8 rows of A at once where they are far apart: rows a multiple of 4 KB apart meet in the same eight places of
// the first-level cache. Where they are neighbours, a tile uses up the whole of a cache line.
LEVEL_ROWS(narrow, 8, 1)
LEVEL_ROWS(narrow_transposed, LANES >= 8 ? 16 : 8, 1)
#if SLICE == 4
LEVEL_ROWS(two, 8, 2)
LEVEL_ROWS(three, 8, 3)
#endif

// n is a multiple of LANES.
TARGET static void LEVEL(columns)(const sft_panel_product *p) {
  size_t column = 0;
  for (; column + SLICE * LANES <= p->n; column += SLICE * LANES) LEVEL(wide)(p, column);
#if SLICE == 4
  // What is left of a slice, as a whole too: heads are that wide.
  if (column + 3 * LANES <= p->n) return LEVEL(three)(p, column);
  if (column + 2 * LANES <= p->n) return LEVEL(two)(p, column);
#endif
  for (; column < p->n; column += LANES) {
    if (p->a_row == 1)
      LEVEL(narrow_transposed)(p, column);
    else
      LEVEL(narrow)(p, column);
  }
}

#undef LEVEL_ROWS
#undef LEVEL
#undef TARGET
#undef LANES
#undef SLICE
#undef WIDE
