// Tiled attention with an online softmax (Dao et al. 2022): memory linear in length, forward and backward.
// Tiles of queries and keys are copied, transposed where needed and padded to the vector width, into scratch; all products
// then go through one micro-kernel, 4 rows by 4 vectors.
#include "clones.h"
#include <math.h>
#include <string.h>

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

// to[width × TILE], zeros beyond rows.
SFT_INLINE void copy_transposed(const float *from, size_t stride, size_t rows, size_t width, float *to) {
  for (size_t i = 0; i < rows; i++)
    for (size_t d = 0; d < width; d++) to[d * TILE + i] = from[i * stride + d];
  for (size_t i = rows; i < TILE; i++)
    for (size_t d = 0; d < width; d++) to[d * TILE + i] = 0;
}

SFT_INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }

// How many keys of [first, first + count) query row sees.
SFT_INLINE size_t visible(int64_t row, int64_t causal_offset, size_t first, size_t count) {
  int64_t seen = row + causal_offset + 1 - (int64_t)first;
  return seen <= 0 ? 0 : least((size_t)seen, count);
}

size_t sft_attention_scratch(size_t head_width) {
  size_t pad = (head_width + LANES - 1) / LANES * LANES;
  return 6 * TILE * pad + 4 * TILE * TILE + 3 * TILE;
}

SFT_CLONES void sft_attention_forward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans,
                                      size_t span_count, size_t head_width, float scale, float *out, size_t out_stride,
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
        memset(score, 0, rows * TILE * sizeof(float));
        multiply(query, pad, key, TILE, score, TILE, rows, head_width, TILE);
        for (size_t i = 0; i < rows; i++) {
          float *row = score + i * TILE;
          size_t seen = visible((int64_t)(q0 + i), span->causal_offset, k0, keys);
          for (size_t j = seen; j < TILE; j++) row[j] = -INFINITY;
          float largest = top[i];
          for (size_t j = 0; j < TILE; j++) largest = row[j] > largest ? row[j] : largest;
          if (seen == 0) {
            for (size_t j = 0; j < TILE; j++) row[j] = 0;
            continue;
          }
          float shrink = sft_exp(top[i] - largest), added = 0;
          for (size_t j = 0; j < TILE; j++) row[j] = j < seen ? sft_exp(row[j] - largest) : 0.0f;
          for (size_t j = 0; j < TILE; j++) added += row[j];
          if (top[i] != largest)
            for (size_t d = 0; d < pad; d++) sum[i * pad + d] *= shrink;
          total[i] = total[i] * shrink + added;
          top[i] = largest;
        }
        multiply(score, TILE, value, pad, sum, pad, rows, keys, pad);
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

SFT_CLONES void sft_attention_backward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans,
                                       size_t span_count, size_t head_width, float scale, const float *out,
                                       const float *dout, size_t out_stride, const float *log_sum_exp, float *dq,
                                       size_t dq_stride, float *scratch) {
  size_t pad = padded(head_width);
  float *query = scratch, *upstream = query + TILE * pad, *transposed = upstream + TILE * pad;
  float *plain = transposed + TILE * pad, *sum = plain + TILE * pad, *dquery = sum + TILE * pad;
  float *p = dquery + TILE * pad, *ds = p + TILE * TILE, *pt = ds + TILE * TILE, *dst = pt + TILE * TILE;
  float *delta = dst + TILE * TILE;
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
        memset(p, 0, rows * TILE * sizeof(float));
        memset(ds, 0, rows * TILE * sizeof(float));
        copy_transposed(span->keys + k0 * span->stride, span->stride, keys, head_width, transposed);
        multiply(query, pad, transposed, TILE, p, TILE, rows, head_width, TILE);
        copy_transposed(span->values + k0 * span->stride, span->stride, keys, head_width, transposed);
        multiply(upstream, pad, transposed, TILE, ds, TILE, rows, head_width, TILE);
        for (size_t i = 0; i < rows; i++) {
          size_t seen = visible((int64_t)(q0 + i), span->causal_offset, k0, keys);
          float *row = p + i * TILE, *drow = ds + i * TILE, lse = log_sum_exp[q0 + i];
          for (size_t j = 0; j < TILE; j++) {
            float probability = j < seen ? sft_exp(row[j] - lse) : 0.0f;
            row[j] = probability;
            drow[j] = probability * (drow[j] - delta[i]);
          }
        }
        for (size_t i = 0; i < rows; i++)
          for (size_t j = 0; j < TILE; j++) pt[j * TILE + i] = p[i * TILE + j], dst[j * TILE + i] = ds[i * TILE + j];
        copy_tile(span->keys + k0 * span->stride, span->stride, keys, head_width, pad, 1.0f, plain);
        multiply(ds, TILE, plain, pad, dquery, pad, rows, keys, pad);
        memset(sum, 0, keys * pad * sizeof(float));  // query is scaled, so this is the keys' whole gradient
        multiply(dst, TILE, query, pad, sum, pad, keys, rows, pad);
        add_tile(sum, pad, keys, head_width, 1.0f, span->key_gradients + k0 * span->stride, span->stride);
        memset(sum, 0, keys * pad * sizeof(float));
        multiply(pt, TILE, upstream, pad, sum, pad, keys, rows, pad);
        add_tile(sum, pad, keys, head_width, 1.0f, span->value_gradients + k0 * span->stride, span->stride);
      }
    }
    add_tile(dquery, pad, rows, head_width, scale, dq + q0 * dq_stride, dq_stride);
  }
}
