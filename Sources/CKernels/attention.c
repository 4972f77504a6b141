// Tiled attention with an online softmax (Dao et al. 2022): memory linear in length, forward and backward.
// Tiles of queries and keys are copied, transposed where needed and padded to the vector width, into scratch; all products
// then go through one micro-kernel, 4 rows by 4 vectors.
#include <math.h>
#include <string.h>

#include "transpose.h"

// A tile is gone through in strips of LANES rows, of which each takes only the columns that some of its rows see.
enum { TILE = 64, LANES = 16 };
typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

SFT_INLINE size_t padded(size_t width) { return (width + LANES - 1) / LANES * LANES; }

// C[rows × 16·vectors] += A[rows × depth] · B[depth × 16·vectors], with rows and vectors known when compiled.
SFT_INLINE void block(const float *a, size_t lda, const float *b, size_t ldb, float *c, size_t ldc, size_t depth,
                      const int rows, const int vectors) {
  vec sum[4][4];
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) sum[i][j] = *(const vec *)(c + i * ldc + j * LANES);
  for (size_t k = 0; k < depth; k++) {
    vec right[4];
    for (int j = 0; j < vectors; j++) right[j] = *(const vec *)(b + k * ldb + j * LANES);
    for (int i = 0; i < rows; i++) {
      float left = a[i * lda + k];
      for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) *(vec *)(c + i * ldc + j * LANES) = sum[i][j];
}

SFT_INLINE void block_rows(const float *a, size_t lda, const float *b, size_t ldb, float *c, size_t ldc, size_t rows,
                           size_t depth, const int vectors) {
  size_t i = 0;
  for (; i + 4 <= rows; i += 4) block(a + i * lda, lda, b, ldb, c + i * ldc, ldc, depth, 4, vectors);
  for (; i < rows; i++) block(a + i * lda, lda, b, ldb, c + i * ldc, ldc, depth, 1, vectors);
}

// C += A · B; columns is a multiple of 16.
SFT_INLINE void multiply(const float *a, size_t lda, const float *b, size_t ldb, float *c, size_t ldc, size_t rows,
                         size_t depth, size_t columns) {
  size_t j = 0;
  for (; j + 4 * LANES <= columns; j += 4 * LANES) block_rows(a, lda, b + j, ldb, c + j, ldc, rows, depth, 4);
  for (; j < columns; j += LANES) block_rows(a, lda, b + j, ldb, c + j, ldc, rows, depth, 1);
}

// to[rows × padded], scaled, zeros beyond width.
SFT_INLINE void copy_tile(const float *from, size_t stride, size_t rows, size_t width, size_t pad, float scale,
                          float *to) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t d = 0; d < width; d++) to[i * pad + d] = from[i * stride + d] * scale;
    for (size_t d = width; d < pad; d++) to[i * pad + d] = 0;
  }
}

// to[width × TILE], zeros from `rows` up to the next multiple of LANES.
SFT_INLINE void copy_transposed(const float *from, size_t stride, size_t rows, size_t width, float *to) {
  transpose(from, stride, rows, width, 1, to, TILE);
  for (size_t d = 0; rows % LANES && d < width; d++)
    for (size_t i = rows; i < padded(rows); i++) to[d * TILE + i] = 0;
}

SFT_INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }

// How many keys of [first, first + count) query row sees.
SFT_INLINE size_t visible(int64_t row, int64_t causal_offset, size_t first, size_t count) {
  int64_t seen = row + causal_offset + 1 - (int64_t)first;
  return seen <= 0 ? 0 : least((size_t)seen, count);
}

size_t sft_attention_scratch(size_t head_width) {
  size_t pad = (head_width + LANES - 1) / LANES * LANES;
  return 7 * TILE * pad + 4 * TILE * TILE + 3 * TILE;
}

// Scores of rows first … first + count of a tile, as probabilities not yet divided by `total`. The earlier keys' sums are
// shrunk where a larger score turns up.
SFT_INLINE void softmax_strip(float *score, size_t count, size_t columns, int64_t row, int64_t causal_offset, size_t k0,
                              size_t keys, size_t pad, float *top, float *total, float *sum) {
  for (size_t i = 0; i < count; i++, score += TILE) {
    size_t seen = visible(row + (int64_t)i, causal_offset, k0, keys);
    if (seen == 0) {
      for (size_t j = 0; j < columns; j++) score[j] = 0;
      continue;
    }
    for (size_t j = seen; j < columns; j++) score[j] = -INFINITY;
    float largest = top[i], added = 0;
    for (size_t j = 0; j < columns; j++) largest = score[j] > largest ? score[j] : largest;
    float shrink = sft_exp(top[i] - largest);
    for (size_t j = 0; j < columns; j++) score[j] = j < seen ? sft_exp(score[j] - largest) : 0.0f;
    for (size_t j = 0; j < columns; j++) added += score[j];
    if (top[i] != largest)
      for (size_t d = 0; d < pad; d++) sum[i * pad + d] *= shrink;
    total[i] = total[i] * shrink + added;
    top[i] = largest;
  }
}

// weights[j] ← kept or 0, for the keys from row `key` on.
SFT_INLINE void drop_row(float *weights, size_t seen, const sft_attention_dropout *dropout, uint64_t query, uint64_t key) {
  uint64_t threshold = sft_dropout_threshold(dropout->p);
  float keep_scale = 1.0f / (1.0f - dropout->p);
  for (size_t j = 0; j < seen; j++)
    weights[j] *= sft_dropout_bits(dropout->seed, query << 32 | (key + j)) >= threshold ? keep_scale : 0.0f;
}

float sft_attention_kept(const sft_attention_dropout *dropout, uint64_t query, uint64_t key) {
  float weight = 1;
  drop_row(&weight, 1, dropout, query, key);
  return weight;
}

SFT_CLONES void sft_attention_forward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans,
                                      size_t span_count, size_t head_width, float scale,
                                      const sft_attention_dropout *dropout, float *out, size_t out_stride,
                                      float *log_sum_exp, float *scratch) {
  size_t pad = padded(head_width);
  float *query = scratch, *key = query + TILE * pad, *value = key + TILE * pad, *sum = value + TILE * pad;
  float *score = sum + TILE * pad, *top = score + TILE * TILE, *total = top + TILE;
  for (size_t q0 = 0; q0 < queries; q0 += TILE) {
    size_t rows = least(TILE, queries - q0);
    copy_tile(q + q0 * q_stride, q_stride, rows, head_width, pad, scale, query);
    memset(sum, 0, rows * pad * sizeof(float));
    for (size_t i = 0; i < rows; i++) top[i] = -INFINITY, total[i] = 0;
    for (size_t s = 0; s < span_count; s++) {
      const sft_key_span *span = spans + s;
      for (size_t k0 = 0; k0 < span->count; k0 += TILE) {
        size_t keys = least(TILE, span->count - k0);
        if (!visible((int64_t)(q0 + rows) - 1, span->causal_offset, k0, keys)) break;
        copy_transposed(span->keys + k0 * span->stride, span->stride, keys, head_width, key);
        copy_tile(span->values + k0 * span->stride, span->stride, keys, head_width, pad, 1.0f, value);
        for (size_t i = 0; i < rows; i += LANES) {
          size_t count = least(LANES, rows - i);
          int64_t row = (int64_t)(q0 + i);
          size_t seen = visible(row + (int64_t)count - 1, span->causal_offset, k0, keys), columns = padded(seen);
          float *strip = score + i * TILE;
          for (size_t r = 0; r < count; r++) memset(strip + r * TILE, 0, columns * sizeof(float));
          multiply(query + i * pad, pad, key, TILE, strip, TILE, count, head_width, columns);
          softmax_strip(strip, count, columns, row, span->causal_offset, k0, keys, pad, top + i, total + i,
                        sum + i * pad);
          for (size_t r = 0; dropout && r < count; r++)
            drop_row(strip + r * TILE, seen, dropout, dropout->first_row + q0 + i + r, span->first_row + k0);
          multiply(strip, TILE, value, pad, sum + i * pad, pad, count, seen, pad);
        }
      }
    }
    for (size_t i = 0; i < rows; i++) {
      float inverse = 1.0f / total[i];
      for (size_t d = 0; d < head_width; d++) out[(q0 + i) * out_stride + d] = sum[i * pad + d] * inverse;
      log_sum_exp[q0 + i] = top[i] + logf(total[i]);
    }
  }
}

// to[i][d] += from[i][d], over rows × width.
SFT_INLINE void add_tile(const float *from, size_t pad, size_t rows, size_t width, float scale, float *to,
                         size_t stride) {
  for (size_t i = 0; i < rows; i++)
    for (size_t d = 0; d < width; d++) to[i * stride + d] += from[i * pad + d] * scale;
}

// score ← probability, gradient ← probability · (gradient − delta); nothing beyond what is seen.
SFT_INLINE void gradient_row(float *score, float *gradient, size_t columns, size_t seen, float log_sum_exp, float delta) {
  for (size_t j = 0; j < columns; j++) {
    float probability = j < seen ? sft_exp(score[j] - log_sum_exp) : 0.0f;
    score[j] = probability;
    gradient[j] = probability * (gradient[j] - delta);
  }
}

// sum[keys × pad] += weights[keys × TILE] · x[rows × pad], where weights are there only from the first strip of rows on
// that sees a strip of keys.
SFT_INLINE void key_products(const float *weights, const float *x, size_t pad, size_t rows, size_t keys, int64_t q0,
                             int64_t causal_offset, size_t k0, float *sum) {
  size_t first = 0;
  for (size_t j = 0; j < keys; j += LANES) {
    while (first < rows && visible(q0 + (int64_t)least(first + LANES, rows) - 1, causal_offset, k0, keys) <= j)
      first += LANES;
    if (first >= rows) break;
    multiply(weights + j * TILE + first, TILE, x + first * pad, pad, sum + j * pad, pad, least(LANES, keys - j),
             rows - first, pad);
  }
}

SFT_CLONES void sft_attention_backward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans,
                                       size_t span_count, size_t head_width, float scale,
                                       const sft_attention_dropout *dropout, const float *out, const float *dout,
                                       size_t out_stride, const float *log_sum_exp, float *dq, size_t dq_stride,
                                       float *scratch) {
  size_t pad = padded(head_width);
  float *query = scratch, *upstream = query + TILE * pad, *transposed = upstream + TILE * pad;
  float *plain = transposed + TILE * pad, *sum = plain + TILE * pad, *dquery = sum + TILE * pad;
  float *p = dquery + TILE * pad, *ds = p + TILE * TILE, *pt = ds + TILE * TILE, *dst = pt + TILE * TILE;
  float *values = dst + TILE * TILE, *delta = values + TILE * pad;
  for (size_t q0 = 0; q0 < queries; q0 += TILE) {
    size_t rows = least(TILE, queries - q0);
    copy_tile(q + q0 * q_stride, q_stride, rows, head_width, pad, scale, query);
    copy_tile(dout + q0 * out_stride, out_stride, rows, head_width, pad, 1.0f, upstream);
    memset(dquery, 0, rows * pad * sizeof(float));
    for (size_t i = 0; i < rows; i++) {  // Σ_j p_j dp_j = out · dout
      float dot = 0;
      for (size_t d = 0; d < head_width; d++) dot += out[(q0 + i) * out_stride + d] * upstream[i * pad + d];
      delta[i] = dot;
    }
    for (size_t s = 0; s < span_count; s++) {
      const sft_key_span *span = spans + s;
      for (size_t k0 = 0; k0 < span->count; k0 += TILE) {
        size_t keys = least(TILE, span->count - k0);
        if (!visible((int64_t)(q0 + rows) - 1, span->causal_offset, k0, keys)) break;
        // Probabilities and the scores' gradients, strip by strip; from there the queries' gradient. Query is scaled, so
        // ds · query is the keys' whole gradient.
        copy_transposed(span->keys + k0 * span->stride, span->stride, keys, head_width, transposed);
        copy_transposed(span->values + k0 * span->stride, span->stride, keys, head_width, values);
        copy_tile(span->keys + k0 * span->stride, span->stride, keys, head_width, pad, 1.0f, plain);
        for (size_t i = 0; i < rows; i += LANES) {
          size_t count = least(LANES, rows - i);
          int64_t row = (int64_t)(q0 + i);
          size_t seen = visible(row + (int64_t)count - 1, span->causal_offset, k0, keys), columns = padded(seen);
          float *pi = p + i * TILE, *dsi = ds + i * TILE;
          for (size_t r = 0; r < count; r++) {
            memset(pi + r * TILE, 0, columns * sizeof(float));
            memset(dsi + r * TILE, 0, columns * sizeof(float));
          }
          multiply(query + i * pad, pad, transposed, TILE, pi, TILE, count, head_width, columns);
          multiply(upstream + i * pad, pad, values, TILE, dsi, TILE, count, head_width, columns);
          for (size_t r = 0; r < count; r++) {
            uint64_t query_row = dropout ? dropout->first_row + q0 + i + r : 0;
            if (dropout) drop_row(dsi + r * TILE, seen, dropout, query_row, span->first_row + k0);
            gradient_row(pi + r * TILE, dsi + r * TILE, columns,
                         visible(row + (int64_t)r, span->causal_offset, k0, keys), log_sum_exp[q0 + i + r], delta[i + r]);
            // The values' gradient takes the weights that the values were added with.
            if (dropout) drop_row(pi + r * TILE, seen, dropout, query_row, span->first_row + k0);
          }
          multiply(dsi, TILE, plain, pad, dquery + i * pad, pad, count, seen, pad);
          transpose(pi, TILE, count, columns, 1, pt + i, TILE);
          transpose(dsi, TILE, count, columns, 1, dst + i, TILE);
        }
        // A strip of keys takes the rows from the first strip that sees any of it.
        memset(sum, 0, keys * pad * sizeof(float));
        key_products(dst, query, pad, rows, keys, (int64_t)q0, span->causal_offset, k0, sum);
        add_tile(sum, pad, keys, head_width, 1.0f, span->key_gradients + k0 * span->stride, span->stride);
        memset(sum, 0, keys * pad * sizeof(float));
        key_products(pt, upstream, pad, rows, keys, (int64_t)q0, span->causal_offset, k0, sum);
        add_tile(sum, pad, keys, head_width, 1.0f, span->value_gradients + k0 * span->stride, span->stride);
      }
    }
    add_tile(dquery, pad, rows, head_width, scale, dq + q0 * dq_stride, dq_stride);
  }
}
