// Kernels on matrices in ggml's quantised blocks, as GGUF files hold them: rows of outputs, each of whole blocks, one row after
// the other. A block is a run of elements with scales of its own; all numbers are little-endian.
//
//   Q4_0  32   d, 16 bytes of two codes                       (code − 8) · d
//   Q4_1  32   d, m, 16 bytes of two codes                    code · d + m
//   Q8_0  32   d, 32 signed bytes                             byte · d
//   Q4_K  256  d, m, 12 bytes of 6-bit scales and minima,     code · (d · scale) − m · minimum,
//              128 bytes of two codes                         a scale and a minimum for each 32
//   Q5_K  256  the same with 32 bytes of fifth bits before    the same
//              the codes
//   Q6_K  256  128 bytes of two codes, 64 of upper bit pairs, (code − 32) · (d · scale), a scale for each 16
//              16 signed bytes of scales, d
//
// d and m are IEEE halves. Every product above fits the 24 bits of a float32, so that an element is rounded once at most: it
// is the same bits with fused multiplications and without.
#ifndef GGML_BLOCKS_H
#define GGML_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

enum { SFT_Q4_0, SFT_Q4_1, SFT_Q8_0, SFT_Q4_K, SFT_Q5_K, SFT_Q6_K };

// Elements of a block, and its bytes.
size_t sft_block_length(int kind);
size_t sft_block_bytes(int kind);

// `level` below: the highest x86-64 level whose instructions may be used, as sft_cpu_level() gives it. The result of decoding
// is the same bits at every level; that of multiplying depends on it.

// out[0 ..< count] = elements first ..< first + count of the flattened matrix.
void sft_blocks_decode(int level, int kind, const uint8_t *blocks, size_t first, size_t count, float *out);

// How many x are multiplied at once.
int sft_blocks_most_rows(int level);
// y(i, r) (+)= row r of the blocks, `width` long, times x(i), for r < rows and i < count; x's rows are `x_row` floats apart,
// y's `y_row`. In float32, with the elements as they are decoded, or, in Q4_0 and Q8_0, with d multiplied by a block's sum. Each
// sum is made in one order, whatever `rows` and `count` are.
void sft_blocks_multiply(int level, int kind, const uint8_t *blocks, size_t rows, size_t width, const float *x,
                         size_t x_row, size_t count, float *y, size_t y_row, int accumulate);

// Whether d, and m where there is one, are finite in all of `count` blocks; then all elements are.
int sft_blocks_are_finite(int kind, const uint8_t *blocks, size_t count);

#endif
