// Vectorised kernels, compiled for several CPU levels and chosen at load time by the CPU found (function multi-versioning).
// Each has a plain Swift reference in Sources/Kernels that it is tested against. None allocates; none does I/O.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "eight_bit.h"
#include "four_bit.h"
#include "ggml_blocks.h"
#include "half_rows.h"
#include "panel_product.h"
#include "shortlist.h"

// Memory from mmap, longer or shorter: it may move, and keeps what it has; NULL where there is no room. (Variadic in C, so that
// Swift cannot call it.)
void *sft_resize_mapping(void *memory, size_t bytes, size_t to);

// y = gelu(x), tanh form. n elements.
void sft_gelu_forward(const float *x, float *y, size_t n);
// dx = dy · gelu'(x). dx may be dy.
void sft_gelu_backward(const float *x, const float *dy, float *dx, size_t n);
// The same of x · Φ(x), the form with the error function.
void sft_gelu_erf_forward(const float *x, float *y, size_t n);
void sft_gelu_erf_backward(const float *x, const float *dy, float *dx, size_t n);

// rows × width; mean and rstd: one a row.
void sft_layer_norm_forward(const float *x, const float *weight, const float *bias, float epsilon, float *y, float *mean,
                            float *rstd, size_t rows, size_t width);
// dx += the gradient (accumulates).
void sft_layer_norm_backward(const float *x, const float *weight, const float *mean, const float *rstd, const float *dy,
                             float *dx, size_t rows, size_t width);
// dweight and dbias += the gradients, of the first `columns` of rows that are `stride` apart.
void sft_layer_norm_backward_parameters(const float *x, const float *mean, const float *rstd, const float *dy,
                                        float *dweight, float *dbias, size_t rows, size_t stride, size_t columns);

// Root-mean-square norms: `groups` of `width` elements side by side in each of `rows`, which are a stride apart; the weight of
// the next group begins weight_step on (0 where all have the same); y = x · rstd · (weight + offset). rstd: rows × groups.
void sft_rms_norm_forward(const float *x, size_t x_stride, const float *weight, size_t weight_step, float offset,
                          float epsilon, float *y, size_t y_stride, float *rstd, size_t rows, size_t groups, size_t width);
// dx (+)= the gradient; dx may be dy where it is not accumulated.
void sft_rms_norm_backward(const float *x, size_t x_stride, const float *weight, size_t weight_step, float offset,
                           const float *rstd, const float *dy, size_t dy_stride, float *dx, size_t dx_stride,
                           int accumulate, size_t rows, size_t groups, size_t width);
// dweight += the gradient, of the first `columns` of one group of rows.
void sft_rms_norm_backward_weight(const float *x, size_t x_stride, const float *rstd, size_t rstd_stride, const float *dy,
                                  size_t dy_stride, float *dweight, size_t rows, size_t columns);

// One row of heads, in place: rotary position embedding in the half-split form, and its transpose.
void sft_rotate(float *x, size_t heads, size_t head_width, size_t half, const float *cosines, const float *sines);
void sft_rotate_back(float *x, size_t heads, size_t head_width, size_t half, const float *cosines, const float *sines);

// y[rows, width] = act(gate) · up of x[rows, gate | up], and dx[rows, 2 · width] from dy; dx is not x.
void sft_silu_gate_forward(const float *x, float *y, size_t rows, size_t width);
void sft_silu_gate_backward(const float *x, const float *dy, float *dx, size_t rows, size_t width);
void sft_gelu_gate_forward(const float *x, float *y, size_t rows, size_t width);
void sft_gelu_gate_backward(const float *x, const float *dy, float *dx, size_t rows, size_t width);
void sft_gelu_erf_gate_forward(const float *x, float *y, size_t rows, size_t width);
void sft_gelu_erf_gate_backward(const float *x, const float *dy, float *dx, size_t rows, size_t width);

// 16-bit floats to float32, exactly; and y[rows] (+)= W · x with W in rows of w_row.
void sft_bfloat16_decode(const uint16_t *x, size_t n, float *y);
void sft_half_decode(const uint16_t *x, size_t n, float *y);
void sft_bfloat16_row_products(const uint16_t *w, size_t w_row, size_t rows, size_t width, const float *x, float *y,
                               int accumulate);
void sft_half_row_products(const uint16_t *w, size_t w_row, size_t rows, size_t width, const float *x, float *y,
                           int accumulate);
// A panel of W, panel[rows][SFT_PANEL], or of scale · Wᵀ, panel[width][SFT_PANEL]; its columns beyond W's are zero.
void sft_bfloat16_pack(const uint16_t *w, size_t w_row, size_t rows, size_t width, float *panel);
void sft_half_pack(const uint16_t *w, size_t w_row, size_t rows, size_t width, float *panel);
void sft_bfloat16_pack_transposed(const uint16_t *w, size_t w_row, size_t rows, size_t width, float scale, float *panel);
void sft_half_pack_transposed(const uint16_t *w, size_t w_row, size_t rows, size_t width, float scale, float *panel);

// y = cap · tanh(x / cap), in place, and dy ← dy · (1 − (y / cap)²).
void sft_soft_cap(float *x, size_t n, float cap);
void sft_soft_cap_back(const float *y, float *dy, size_t n, float cap);

// One row of logits of `width` classes: the maximum, its first index, and log Σ exp.
void sft_row_log_sum_exp(const float *logits, size_t width, float *log_sum_exp, size_t *argmax);
// logits ← scale · exp(logits − log_sum_exp), in place.
void sft_row_softmax_scaled(float *logits, size_t width, float log_sum_exp, float scale);

// Keys and values that a run of queries attends to. Query i sees key j when j <= i + causal_offset, and, where there is a
// window, j > i + causal_offset - window.
typedef struct {
  const float *keys, *values;
  size_t count, stride;                    // rows, and floats between rows
  float *key_gradients, *value_gradients;  // backward only
  size_t gradient_stride;
  int64_t causal_offset;
  uint64_t first_row;  // by which dropout counts the keys
  int gradients;       // SFT_ALL_GRADIENTS, or which of them alone: backward only
} sft_key_span;
enum { SFT_ALL_GRADIENTS, SFT_QUERY_GRADIENTS, SFT_KEY_GRADIENTS };

// Dropout on the attention weights of one head: weight (i, j) is kept and scaled by 1 / (1 − p), or zero, by a hash of seed,
// first_row + i, and the key's row.
typedef struct {
  uint64_t seed, first_row;
  float p;
} sft_attention_dropout;

// What all heads of a layer have in common: scores are scale · q·k, and cap · tanh of that over cap where cap is not 0;
// window is 0 for none.
typedef struct {
  size_t head_width;
  float scale, cap;
  int64_t window;
  // A single query is treated as one of many are, so that its bits are those that it has among them.
  int is_tiled;
} sft_attention_form;

// Floats of scratch that one call below needs, for a head of head_width.
size_t sft_attention_scratch(size_t head_width);

// One head: out[i] = Σ_j softmax_j(score_ij) v_j over all spans; log_sum_exp[i] is kept for the backward pass.
// dropout is NULL for none.
void sft_attention_forward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans, size_t span_count,
                           sft_attention_form form, const sft_attention_dropout *dropout, float *out,
                           size_t out_stride, float *log_sum_exp, float *scratch);
// Accumulates into dq and the spans' gradients. out and dout share a stride.
void sft_attention_backward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans,
                            size_t span_count, sft_attention_form form, const sft_attention_dropout *dropout,
                            const float *out, const float *dout, size_t out_stride, const float *log_sum_exp, float *dq,
                            size_t dq_stride, float *scratch);
// The factor of the weight of key row `key` for query row `query`: 0, or 1 / (1 − p).
float sft_attention_kept(const sft_attention_dropout *dropout, uint64_t query, uint64_t key);

// What one AdamW update multiplies by, worked out in double by the caller.
typedef struct {
  float gradient_scale, decay, one_minus_beta1, beta2, one_minus_beta2, step_size, bias_correction2_sqrt, epsilon;
} sft_adamw_factors;

// AdamW (Loshchilov & Hutter 2019) as PyTorch computes it; gradients are multiplied by gradient_scale first.
void sft_adamw(float *parameters, const float *gradients, float *m, float *v, size_t n, sft_adamw_factors factors);

// Each of rows × width: y += bias.
void sft_add_bias(const float *bias, float *y, size_t rows, size_t width);
// sums[j] += Σ over rows of x[row · stride + j], for j < columns.
void sft_sum_rows(const float *x, float *sums, size_t rows, size_t stride, size_t columns);
// y = keep(seed, index) ? x / (1 − p) : 0, where keep is a counter-based hash: the same for the same seed and index.
void sft_dropout(const float *x, float *y, size_t n, uint64_t seed, uint64_t first_index, float p, int accumulate);

#if defined(__x86_64__)
// Tells OpenBLAS, already loaded, to choose its kernels anew. Returns 0 where this OpenBLAS cannot.
int sft_blas_reload(void);
#else
static inline int sft_blas_reload(void) { return 0; }
#endif
// The x86-64 level whose kernels run: 4 (AVX-512), 3 (AVX2 and FMA), or 1; 0 elsewhere.
int sft_cpu_level(void);
// The numbers, ascending, of the CPUs that the calling thread may run on, as many as there is room for. Returns how many there
// are; 0 where the system does not say.
int sft_affinity(int *cpus, int capacity);
// Lets every thread of this process run on those CPUs only. A thread inherits the mask of the one that starts it, so this is
// called before there are others: those that are there already are set one by one, which is no one step. Returns 0 or errno.
int sft_set_affinity(const int *cpus, int count);
// Gives the free memory of the heap back to the system.
void sft_trim_heap(void);

#endif
