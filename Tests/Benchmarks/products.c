// GFLOP/s of the panel products beside OpenBLAS's, one thread, by rows of A: what ProductSum.panelsWin is decided by.
// B is stored [k, n], stored [n, k], or laid out once beforehand. Each figure is the best of several calls, taken in turns.
// Usage: products.sh [LEVEL]
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ckernels.h"

enum { kSteps = 768 };
static float *panel;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

enum { kStored, kTransposed, kLaidOut, kWays };

// `laid_out` holds all panels, each [k][SFT_PANEL].
static void on_panels(int level, int way, size_t m, size_t n, size_t k, const float *a, const float *b,
                      const float *laid_out, float *c) {
  for (size_t j = 0; j < n; j += SFT_PANEL)
    for (size_t x = 0; x < k; x += kSteps) {
      size_t steps = k - x < kSteps ? k - x : kSteps, width = n - j < SFT_PANEL ? n - j : SFT_PANEL;
      if (way == kTransposed) sft_panel_pack_transposed(b + j * k + x, k, width, steps, 1, panel);
      if (way == kStored) sft_panel_pack(b + x * n + j, n, width, steps, 1, panel);
      sft_panel_product product = {.a = a + x, .a_row = k, .a_step = 1, .b = panel, .b_row = SFT_PANEL, .c = c + j,
                                   .c_row = n, .addend = x ? c + j : NULL, .addend_row = n, .m = m, .n = width,
                                   .k = steps};
      if (way == kLaidOut) product.b = laid_out + j * k + x * SFT_PANEL;
      sft_panel_multiply(level, &product);
    }
}

static void by_openblas(int transposed, size_t m, size_t n, size_t k, const float *a, const float *b, float *c) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b,
              (int)(transposed ? k : n), 0, c, (int)n);
}

static float *filled(size_t count, size_t step) {
  float *values = aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64);
  for (size_t i = 0; values && i < count; i++) values[i] = sinf((float)(i * step % 977));
  return values;
}

int main(int count, char **arguments) {
  int level = count > 1 ? atoi(arguments[1]) : sft_cpu_level();
  openblas_set_num_threads(1);
  printf("level %d beside OpenBLAS's %s kernels\n", level, openblas_get_corename());
  panel = filled(kSteps * SFT_PANEL, 1);
  static const size_t shapes[][2] = {{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}, {16, 768}, {50257, 768}};
  static const size_t rows[] = {2, 4, 8, 16, 40, 100, 310, 900};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    size_t n = shapes[s][0], k = shapes[s][1];
    float *b = filled(n * k, 7), *laid_out = filled((n + SFT_PANEL - 1) / SFT_PANEL * SFT_PANEL * k, 7);
    for (size_t j = 0; j < n; j += SFT_PANEL)
      sft_panel_pack(b + j, n, n - j < SFT_PANEL ? n - j : SFT_PANEL, k, 1, laid_out + j * k);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      size_t m = rows[r];
      float *a = filled(m * k, 5), *c = filled(m * n, 3);
      double best[kWays + 2] = {1e9, 1e9, 1e9, 1e9, 1e9}, flop = 2.0 * (double)m * (double)n * (double)k;
      for (int turn = 0; turn < (flop > 1e9 ? 5 : 20); turn++)
        for (int way = 0; way < kWays + 2; way++) {
          double start = now();
          if (way < kWays)
            on_panels(level, way, m, n, k, a, b, laid_out, c);
          else
            by_openblas(way - kWays, m, n, k, a, b, c);
          double taken = now() - start;
          if (taken < best[way]) best[way] = taken;
        }
      printf("n %5zu k %5zu m %4zu   B[k, n]: %6.1f against %6.1f   B[n, k]: %6.1f against %6.1f   laid out: %6.1f\n", n, k,
             m, flop / best[kStored] * 1e-9, flop / best[kWays] * 1e-9, flop / best[kTransposed] * 1e-9,
             flop / best[kWays + 1] * 1e-9, flop / best[kLaidOut] * 1e-9);
      free(a);
      free(c);
    }
    free(b);
    free(laid_out);
  }
}
