// Tiled attention with an online softmax (Dao et al. 2022): memory linear in length, forward and backward.
// A tile's scores lie transposed, [keys][queries]: then keys and values are read where they are, maxima and sums run down
// the columns without reducing any vector, and all products go through the micro-kernel of panel_tile.h.
#include <math.h>
#include <string.h>

#include "transpose.h"

// Queries and keys of a tile, which is cut along the diagonal in strips of STRIP.
enum { TILE = SFT_PANEL, STRIP = 16 };

SFT_INLINE size_t padded(size_t width) { return (width + STRIP - 1) / STRIP * STRIP; }
SFT_INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }

// Which of keys [first, first + count) of a span a tile of queries sees.
typedef struct {
  // Query i of the tile sees key j where j <= i + offset, and j > i + offset - window where window is not 0.
  int64_t offset;
  size_t queries, keys;
  int64_t window;
} diagonal;

SFT_INLINE size_t seen_keys(const diagonal *d, size_t query) {
  int64_t seen = (int64_t)query + d->offset + 1;
  return seen <= 0 ? 0 : least((size_t)seen, d->keys);
}

SFT_INLINE size_t first_query(const diagonal *d, size_t key) {
  int64_t first = (int64_t)key - d->offset;
  return first <= 0 ? 0 : least((size_t)first, d->queries);
}

// From this query on the key lies before the window.
SFT_INLINE size_t last_query(const diagonal *d, size_t key) {
  if (!d->window) return d->queries;
  int64_t end = (int64_t)key - d->offset + d->window;
  return end <= 0 ? 0 : least((size_t)end, d->queries);
}

// Whether all keys of a tile lie before all queries' windows.
SFT_INLINE int is_past(const diagonal *d, size_t keys) {
  return d->window && (int64_t)keys - 1 <= d->offset - d->window;
}

// The first column that is computed for a key, and for its strip.
SFT_INLINE size_t first_column(const diagonal *d, size_t key) { return first_query(d, key / STRIP * STRIP) / STRIP * STRIP; }

// Queries, their upstream gradients, keys or values as a right-hand side: where they are, or padded with zeros where their
// width is no multiple of the micro-kernel's.
typedef struct {
  const float *values;
  size_t stride;
} matrix;

SFT_INLINE matrix readable(const float *from, size_t stride, size_t rows, size_t width, float *copy) {
  size_t pad = padded(width);
  if (width == pad) return (matrix){from, stride};
  for (size_t i = 0; i < rows; i++) {
    memcpy(copy + i * pad, from + i * stride, width * sizeof(float));
    memset(copy + i * pad + width, 0, (pad - width) * sizeof(float));
  }
  return (matrix){copy, pad};
}

// to[width][TILE] = scale · fromᵀ, zeros from `rows` up to the next multiple of STRIP.
SFT_INLINE void copy_transposed(const float *from, size_t stride, size_t rows, size_t width, float scale, float *to) {
  transpose(from, stride, rows, width, scale, to, TILE);
  for (size_t d = 0; rows % STRIP && d < width; d++)
    for (size_t i = rows; i < padded(rows); i++) to[d * TILE + i] = 0;
}

// scores[keys][queries] = x[keys][width] · transposed[width][queries], where they are seen.
static void key_scores(int level, const diagonal *d, const float *x, size_t stride, size_t width, const float *transposed,
                       float *scores) {
  for (size_t j = 0, next; j < d->keys; j = next) {
    size_t column = first_column(d, j);
    for (next = least(j + STRIP, d->keys); next < d->keys && first_column(d, next) == column;)
      next = least(next + STRIP, d->keys);
    if (column >= d->queries) return;
    sft_panel_product product = {.a = x + j * stride, .a_row = stride, .a_step = 1, .b = transposed + column, .b_row = TILE,
                                 .c = scores + j * TILE + column, .c_row = TILE, .m = next - j,
                                 .n = padded(d->queries) - column, .k = width};
    sft_panel_multiply(level, &product);
  }
}

// y[queries][width] += weights[keys][queries]ᵀ · x[keys][width], each strip of queries over the keys that it sees.
static void to_queries(int level, const diagonal *d, const float *weights, matrix x, size_t width, float *y,
                       size_t stride) {
  for (size_t i = 0, next; i < d->queries; i = next) {
    size_t seen = seen_keys(d, least(i + STRIP, d->queries) - 1);
    for (next = least(i + STRIP, d->queries);
         next < d->queries && seen_keys(d, least(next + STRIP, d->queries) - 1) == seen;)
      next = least(next + STRIP, d->queries);
    if (!seen) continue;
    sft_panel_product product = {.a = weights + i, .a_row = 1, .a_step = TILE, .b = x.values, .b_row = x.stride,
                                 .c = y + i * stride, .c_row = stride, .addend = y + i * stride, .addend_row = stride,
                                 .m = next - i, .n = width, .k = seen};
    sft_panel_multiply(level, &product);
  }
}

// y[keys][width] += weights[keys][queries] · x[queries][width], each strip of keys over the queries that see it.
static void to_keys(int level, const diagonal *d, const float *weights, matrix x, size_t width, float *y, size_t stride) {
  for (size_t j = 0, next; j < d->keys; j = next) {
    size_t column = first_column(d, j);
    for (next = least(j + STRIP, d->keys); next < d->keys && first_column(d, next) == column;)
      next = least(next + STRIP, d->keys);
    if (column >= d->queries) return;
    sft_panel_product product = {.a = weights + j * TILE + column, .a_row = TILE, .a_step = 1,
                                 .b = x.values + column * x.stride, .b_row = x.stride, .c = y + j * stride,
                                 .c_row = stride, .addend = y + j * stride, .addend_row = stride, .m = next - j,
                                 .n = width, .k = d->queries - column};
    sft_panel_multiply(level, &product);
  }
}

size_t sft_attention_scratch(size_t head_width) {
  size_t pad = (head_width + STRIP - 1) / STRIP * STRIP;
  return 5 * TILE * pad + 2 * TILE * TILE + 5 * TILE;
}

// row[i] ← kept or 0, for one key and the queries from `first` on.
SFT_INLINE void drop_queries(float *row, size_t first, size_t queries, const sft_attention_dropout *dropout, uint64_t query,
                             uint64_t key) {
  uint64_t threshold = sft_dropout_threshold(dropout->p);
  float keep_scale = 1.0f / (1.0f - dropout->p);
  for (size_t i = first; i < queries; i++)
    row[i] *= sft_dropout_bits(dropout->seed, (query + i) << 32 | key) >= threshold ? keep_scale : 0.0f;
}

float sft_attention_kept(const sft_attention_dropout *dropout, uint64_t query, uint64_t key) {
  float weight = 1;
  drop_queries(&weight, 0, 1, dropout, query, key);
  return weight;
}

// c · tanh(x / c), without branches.
SFT_INLINE float soft_cap(float x, float cap) { return cap * (1.0f - 2.0f / (1.0f + sft_exp(2.0f / cap * x))); }

SFT_CLONES void sft_soft_cap(float *x, size_t n, float cap) {
  for (size_t i = 0; i < n; i++) x[i] = soft_cap(x[i], cap);
}

SFT_CLONES void sft_soft_cap_back(const float *restrict y, float *restrict dy, size_t n, float cap) {
  for (size_t i = 0; i < n; i++) dy[i] *= 1.0f - (y[i] / cap) * (y[i] / cap);
}

SFT_CLONES static void cap_tile(const diagonal *d, float *scores, float cap) {
  for (size_t j = 0; j < d->keys; j++)
    for (size_t i = first_column(d, j); i < padded(d->queries); i++)
      scores[j * TILE + i] = soft_cap(scores[j * TILE + i], cap);
}

// Scores, as probabilities not yet divided by `total`; each query's `shrink` is what its earlier sums are to be multiplied
// by, because a larger score has turned up.
SFT_CLONES static void softmax_tile(const diagonal *d, float *restrict scores, float *restrict top, float *restrict total,
                                    float *restrict shrink, float cap) {
  size_t columns = padded(d->queries);
  if (cap != 0) cap_tile(d, scores, cap);
  float largest[TILE];
  memcpy(largest, top, columns * sizeof(float));
  for (size_t j = 0; j < d->keys; j++) {
    float *row = scores + j * TILE;
    size_t column = first_column(d, j), first = first_query(d, j);
    for (size_t i = column; i < first; i++) row[i] = -INFINITY;
    for (size_t i = d->window ? last_query(d, j) : columns; i < columns; i++) row[i] = -INFINITY;
    for (size_t i = column; i < columns; i++) largest[i] = row[i] > largest[i] ? row[i] : largest[i];
  }
  for (size_t i = 0; i < columns; i++) {
    // A query that has seen no key yet has nothing to shrink.
    float reference = largest[i] == -INFINITY ? 0 : largest[i];
    shrink[i] = sft_exp(top[i] - reference);
    top[i] = largest[i];
    largest[i] = reference;
    total[i] *= shrink[i];
  }
  for (size_t j = 0; j < d->keys; j++) {
    float *row = scores + j * TILE;
    size_t column = first_column(d, j), first = first_query(d, j);
    for (size_t i = column; i < columns; i++) row[i] = sft_exp(row[i] - largest[i]);
    for (size_t i = column; i < first; i++) row[i] = 0;
    for (size_t i = d->window ? last_query(d, j) : columns; i < columns; i++) row[i] = 0;
    for (size_t i = column; i < columns; i++) total[i] += row[i];
  }
}

SFT_CLONES static void scale_rows(float *restrict rows, size_t count, size_t width, const float *restrict scales) {
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < width; d++) rows[i * width + d] *= scales[i];
}

// Writes out sums and logarithms: out[i] = sum[i] / total[i].
SFT_CLONES static void finish(const float *restrict sum, size_t pad, size_t rows, size_t width, const float *restrict top,
                              const float *restrict total, float *restrict out, size_t out_stride,
                              float *restrict log_sum_exp) {
  for (size_t i = 0; i < rows; i++) {
    float inverse = 1.0f / total[i];
    for (size_t d = 0; d < width; d++) out[i * out_stride + d] = sum[i * pad + d] * inverse;
    log_sum_exp[i] = top[i] + logf(total[i]);
  }
}

SFT_CLONES static void query_tile(const float *q, size_t stride, size_t rows, size_t width, float scale, float *transposed) {
  copy_transposed(q, stride, rows, width, scale, transposed);
}

typedef float sixteen __attribute__((ext_vector_type(16), aligned(4), may_alias));

// sum = shrink · sum + Σ score[j] · values[j], in registers for 32 columns at a time.
SFT_INLINE void add_values(const float *score, const float *values, size_t stride, size_t keys, size_t width, float shrink,
                           float *sum) {
  size_t d = 0;
  for (; d + 32 <= width; d += 32) {
    sixteen low = *(const sixteen *)(sum + d) * shrink, high = *(const sixteen *)(sum + d + 16) * shrink;
    for (size_t j = 0; j < keys; j++) {
      low += score[j] * *(const sixteen *)(values + j * stride + d);
      high += score[j] * *(const sixteen *)(values + j * stride + d + 16);
    }
    *(sixteen *)(sum + d) = low;
    *(sixteen *)(sum + d + 16) = high;
  }
  for (; d < width; d++) {
    float total = sum[d] * shrink;
    for (size_t j = 0; j < keys; j++) total += score[j] * values[j * stride + d];
    sum[d] = total;
  }
}

// One query: rows of dot products and one row of sums, without a tile.
SFT_CLONES static void single_query(const float *q, const sft_key_span *spans, size_t span_count,
                                    sft_attention_form form, const sft_attention_dropout *dropout,
                                    float *restrict out, float *log_sum_exp, float *restrict scratch) {
  size_t head_width = form.head_width;
  float scale = form.scale;
  float *query = scratch, *sum = query + padded(head_width), *score = sum + padded(head_width);
  float top = -INFINITY, total = 0;
  for (size_t d = 0; d < head_width; d++) query[d] = q[d] * scale, sum[d] = 0;
  for (size_t s = 0; s < span_count; s++) {
    const sft_key_span *span = spans + s;
    size_t count = span->causal_offset < 0 ? 0 : least(span->count, (size_t)span->causal_offset + 1);
    int64_t before = form.window ? span->causal_offset + 1 - form.window : 0;
    for (size_t k0 = before > 0 ? (size_t)before : 0; k0 < count; k0 += TILE) {
      size_t keys = least(TILE, count - k0);
      sft_row_products(span->keys + k0 * span->stride, span->stride, keys, head_width, query, score);
      for (size_t j = 0; form.cap != 0 && j < keys; j++) score[j] = soft_cap(score[j], form.cap);
      float largest = top, added = 0;
      for (size_t j = 0; j < keys; j++) largest = score[j] > largest ? score[j] : largest;
      float shrink = sft_exp(top - largest);
      for (size_t j = 0; j < keys; j++) score[j] = sft_exp(score[j] - largest);
      for (size_t j = 0; j < keys; j++) added += score[j];
      total = total * shrink + added;
      top = largest;
      for (size_t j = 0; dropout && j < keys; j++)
        drop_queries(score + j, 0, 1, dropout, dropout->first_row, span->first_row + k0 + j);
      add_values(score, span->values + k0 * span->stride, span->stride, keys, head_width, shrink, sum);
    }
  }
  finish(sum, head_width, 1, head_width, &top, &total, out, head_width, log_sum_exp);
}

SFT_CLONES static void drop_tile(const diagonal *d, float *weights, const sft_attention_dropout *dropout, uint64_t query,
                                 uint64_t key) {
  for (size_t j = 0; j < d->keys; j++)
    drop_queries(weights + j * TILE, first_query(d, j), d->queries, dropout, query, key + j);
}

void sft_attention_forward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans, size_t span_count,
                           sft_attention_form form, const sft_attention_dropout *dropout, float *out,
                           size_t out_stride, float *log_sum_exp, float *scratch) {
  if (queries == 1 && !form.is_tiled) return single_query(q, spans, span_count, form, dropout, out, log_sum_exp, scratch);
  int level = sft_cpu_level();
  size_t head_width = form.head_width;
  float scale = form.scale;
  size_t pad = padded(head_width);
  float *query = scratch, *value = query + TILE * pad, *sum = value + TILE * pad, *score = sum + TILE * pad;
  float *top = score + TILE * TILE, *total = top + TILE, *shrink = total + TILE;
  for (size_t q0 = 0; q0 < queries; q0 += TILE) {
    size_t rows = least(TILE, queries - q0);
    query_tile(q + q0 * q_stride, q_stride, rows, head_width, scale, query);
    memset(sum, 0, rows * pad * sizeof(float));
    for (size_t i = 0; i < padded(rows); i++) top[i] = -INFINITY, total[i] = 0;
    for (size_t s = 0; s < span_count; s++) {
      const sft_key_span *span = spans + s;
      for (size_t k0 = 0; k0 < span->count; k0 += TILE) {
        diagonal d = {(int64_t)q0 + span->causal_offset - (int64_t)k0, rows, least(TILE, span->count - k0), form.window};
        if (is_past(&d, d.keys)) continue;
        d.keys = seen_keys(&d, rows - 1);
        if (!d.keys) break;
        const float *keys = span->keys + k0 * span->stride;
        matrix values = readable(span->values + k0 * span->stride, span->stride, d.keys, head_width, value);
        key_scores(level, &d, keys, span->stride, head_width, query, score);
        softmax_tile(&d, score, top, total, shrink, form.cap);
        if (s || k0) scale_rows(sum, rows, pad, shrink);
        if (dropout) drop_tile(&d, score, dropout, dropout->first_row + q0, span->first_row + k0);
        to_queries(level, &d, score, values, pad, sum, pad);
      }
    }
    finish(sum, pad, rows, head_width, top, total, out + q0 * out_stride, out_stride, log_sum_exp + q0);
  }
}

// scores ← probability, gradients ← scale · probability · (gradient − delta); nothing beyond what is seen.
SFT_CLONES static void gradient_tile(const diagonal *d, float *restrict scores, float *restrict gradients,
                                     const float *restrict log_sum_exp, const float *restrict delta, float scale) {
  size_t columns = padded(d->queries);
  for (size_t j = 0; j < d->keys; j++) {
    float *p = scores + j * TILE, *ds = gradients + j * TILE;
    size_t column = first_column(d, j), first = first_query(d, j);
    for (size_t i = column; i < columns; i++) {
      float probability = sft_exp(p[i] - log_sum_exp[i]);
      p[i] = probability;
      ds[i] = scale * probability * (ds[i] - delta[i]);
    }
    for (size_t i = column; i < first; i++) p[i] = ds[i] = 0;
    for (size_t i = d->window ? last_query(d, j) : columns; i < columns; i++) p[i] = ds[i] = 0;
  }
}

// The same where scores are capped: the gradient goes through the cap too.
SFT_CLONES static void capped_gradient_tile(const diagonal *d, float *restrict scores, float *restrict gradients,
                                            const float *restrict log_sum_exp, const float *restrict delta, float scale,
                                            float cap) {
  size_t columns = padded(d->queries);
  for (size_t j = 0; j < d->keys; j++) {
    float *p = scores + j * TILE, *ds = gradients + j * TILE;
    size_t column = first_column(d, j), first = first_query(d, j), last = last_query(d, j);
    for (size_t i = column; i < columns; i++) {
      float capped = soft_cap(p[i], cap);
      float probability = sft_exp(capped - log_sum_exp[i]);
      p[i] = probability;
      ds[i] = scale * probability * (ds[i] - delta[i]) * (1.0f - (capped / cap) * (capped / cap));
    }
    for (size_t i = column; i < first; i++) p[i] = ds[i] = 0;
    for (size_t i = last; d->window && i < columns; i++) p[i] = ds[i] = 0;
  }
}

// delta[i] = Σ_j p_j dp_j = out · dout.
SFT_CLONES static void row_dots(const float *restrict a, const float *restrict b, size_t stride, size_t rows, size_t width,
                                float *restrict dots) {
  for (size_t i = 0; i < rows; i++) {
    float dot = 0;
    for (size_t d = 0; d < width; d++) dot += a[i * stride + d] * b[i * stride + d];
    dots[i] = dot;
  }
}

void sft_attention_backward(const float *q, size_t q_stride, size_t queries, const sft_key_span *spans,
                            size_t span_count, sft_attention_form form, const sft_attention_dropout *dropout,
                            const float *out, const float *dout, size_t out_stride, const float *log_sum_exp, float *dq,
                            size_t dq_stride, float *scratch) {
  int level = sft_cpu_level();
  size_t head_width = form.head_width;
  float scale = form.scale;
  size_t pad = padded(head_width);
  float *query = scratch, *upstream = query + TILE * pad, *query_copy = upstream + TILE * pad;
  float *upstream_copy = query_copy + TILE * pad, *key_copy = upstream_copy + TILE * pad;
  float *p = key_copy + TILE * pad, *ds = p + TILE * TILE, *delta = ds + TILE * TILE, *logs = delta + TILE;
  for (size_t q0 = 0; q0 < queries; q0 += TILE) {
    size_t rows = least(TILE, queries - q0);
    const float *q_rows = q + q0 * q_stride, *dout_rows = dout + q0 * out_stride;
    query_tile(q_rows, q_stride, rows, head_width, scale, query);
    query_tile(dout_rows, out_stride, rows, head_width, 1, upstream);
    matrix queries_there = readable(q_rows, q_stride, rows, head_width, query_copy);
    matrix upstream_there = readable(dout_rows, out_stride, rows, head_width, upstream_copy);
    row_dots(out + q0 * out_stride, dout_rows, out_stride, rows, head_width, delta);
    memcpy(logs, log_sum_exp + q0, rows * sizeof(float));
    for (size_t i = rows; i < padded(rows); i++) delta[i] = logs[i] = 0;
    for (size_t s = 0; s < span_count; s++) {
      const sft_key_span *span = spans + s;
      for (size_t k0 = 0; k0 < span->count; k0 += TILE) {
        diagonal d = {(int64_t)q0 + span->causal_offset - (int64_t)k0, rows, least(TILE, span->count - k0), form.window};
        if (is_past(&d, d.keys)) continue;
        d.keys = seen_keys(&d, rows - 1);
        if (!d.keys) break;
        size_t first = k0 * span->stride, first_gradient = k0 * span->gradient_stride;
        matrix keys = readable(span->keys + first, span->stride, d.keys, head_width, key_copy);
        key_scores(level, &d, span->keys + first, span->stride, head_width, query, p);
        key_scores(level, &d, span->values + first, span->stride, head_width, upstream, ds);
        if (dropout) drop_tile(&d, ds, dropout, dropout->first_row + q0, span->first_row + k0);
        if (form.cap != 0)
          capped_gradient_tile(&d, p, ds, logs, delta, scale, form.cap);
        else
          gradient_tile(&d, p, ds, logs, delta, scale);
        if (span->gradients != SFT_QUERY_GRADIENTS) {
          // The values' gradient takes the weights that the values were added with.
          if (dropout) drop_tile(&d, p, dropout, dropout->first_row + q0, span->first_row + k0);
          to_keys(level, &d, p, upstream_there, head_width, span->value_gradients + first_gradient,
                  span->gradient_stride);
          to_keys(level, &d, ds, queries_there, head_width, span->key_gradients + first_gradient,
                  span->gradient_stride);
        }
        if (span->gradients != SFT_KEY_GRADIENTS)
          to_queries(level, &d, ds, keys, head_width, dq + q0 * dq_stride, dq_stride);
      }
    }
  }
}
