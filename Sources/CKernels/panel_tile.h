// The tile of sft_panel_multiply for one vector width; included once a level, with
//   LEVEL(name)   the function's name at this level
//   TARGET        the attribute that selects the instructions
//   LANES         floats of a vector
//   SLICE         vectors of columns a tile spans at most (SFT_PANEL is a multiple of SLICE · LANES)
//   WIDE, NARROW  rows of a tile of SLICE vectors, and of one vector: as many as the registers hold
//
// A tile keeps its sums in registers over the whole of k, and each step multiplies one element of A with vectors of B that
// serve all its rows. The caller's panel stays in the second-level cache.

typedef float LEVEL(vector) __attribute__((ext_vector_type(LANES), aligned(4)));

// Inlined with constant `rows` and `vectors`, so that `sums` are registers.
TARGET static inline __attribute__((always_inline)) void LEVEL(tile)(const sft_panel_product *p, size_t row, size_t column,
                                                                     size_t rows, size_t vectors) {
  LEVEL(vector) sums[WIDE * SLICE > NARROW ? WIDE * SLICE : NARROW];
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
  const float *a = p->a + row * p->a_row, *b = p->b + column;
  const size_t a_row = p->a_row, a_step = p->a_step, b_row = p->b_row;
  for (size_t x = p->k; x > 0; x--, a += a_step, b += b_row) {
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
LEVEL_ROWS(narrow, NARROW, 1)
#if SLICE == 4
LEVEL_ROWS(three, 8, 3)
LEVEL_ROWS(two, 12, 2)
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
  for (; column < p->n; column += LANES) LEVEL(narrow)(p, column);
}

#undef LEVEL_ROWS
#undef LEVEL
#undef TARGET
#undef LANES
#undef SLICE
#undef WIDE
#undef NARROW
