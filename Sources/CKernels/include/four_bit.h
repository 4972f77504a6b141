// Kernels on matrices of 4-bit codes, stored as bitsandbytes' Linear4bit stores them: rows of outputs, flattened, in blocks
// of 64 elements that know nothing of rows; two codes a byte, the first in the high nibble; element = table[code] · absmax of
// its block. Statistics are float32, one a block, or 8-bit codes themselves (Dettmers et al. 2023, double quantisation).
#ifndef FOUR_BIT_H
#define FOUR_BIT_H

#include <stddef.h>
#include <stdint.h>

#define SFT_FOUR_BIT_BLOCK 64
#define SFT_NESTED_BLOCK 256

typedef struct {
  const uint8_t *packed;
  const float *table;  // 16
  const float *absmax;  // one a block; NULL where the statistics are quantised:
  const uint8_t *absmax_codes;  // one a block
  const float *nested_absmax;  // one per 256 blocks
  const float *nested_table;  // 256
  float offset;
  // Where it is not 0, rows are this long, and each has row_width / 64 blocks' statistics of its own: element (row, column)
  // takes that of block row · (row_width / 64) + column / 64, whatever block it was quantised in.
  size_t row_width;
} sft_four_bit;

// `level` below: the highest x86-64 level whose instructions may be used, as sft_cpu_level() gives it. The result of decoding
// is the same bits at every level; that of multiplying depends on it.

// The absmax of a block.
float sft_four_bit_absmax(const sft_four_bit *matrix, size_t block);
// out[0 ..< count] = elements first ..< first + count of the flattened matrix.
void sft_four_bit_decode(int level, const sft_four_bit *matrix, size_t first, size_t count, float *out);
// Products of rows with a few x at once.
//
// x laid out so that a vector of it meets a vector of codes as they are stored. Floats for each x, 0 where products are of x as
// it is: where rows are not of whole blocks, or the level has no look-up.
size_t sft_four_bit_arranged(int level, size_t width);
// How many x are taken at once.
int sft_four_bit_most_rows(int level);
// Lays out `count` x, which are `x_row` floats apart.
void sft_four_bit_arrange(int level, const float *x, size_t x_row, size_t count, size_t width, float *arranged);
// y(i, r) (+)= row first_row + r, `width` long, times x(i), for r < rows and i < count; y's rows are `y_row` floats apart.
// `arranged` is NULL where there is none, and else all that is read of x.
void sft_four_bit_multiply(int level, const sft_four_bit *matrix, size_t first_row, size_t rows, size_t width,
                           const float *x, size_t x_row, const float *arranged, size_t count, float *y, size_t y_row,
                           int accumulate);

// The same products in 16-bit integers: of every 64 or 128 elements of x the largest becomes 16384 or less, and weights are `levels`
// times `scale` times their absmax: 16 levels, twice, of at most 16383. Sums of a block are exact; rounding x and the levels
// errs by some 1e-5 of the largest.
//
// Whether a level has the instructions.
int sft_four_bit_has_integers(int level);
// Integers for each x, and scales for it.
size_t sft_four_bit_integers(int level, size_t width);
size_t sft_four_bit_integer_scales(int level, size_t width);
// Lays out `count` x, which are `x_row` floats apart, for weights with a `scale`.
void sft_four_bit_arrange_integers(int level, float scale, const float *x, size_t x_row, size_t count, size_t width,
                                   int16_t *arranged, float *scales);
// As sft_four_bit_multiply, of rows of whole blocks; with `uses_vnni` by its instructions where the CPU has them: the same bits.
void sft_four_bit_multiply_integers(int level, const sft_four_bit *matrix, const int16_t *levels, size_t first_row,
                                    size_t rows, size_t width, const int16_t *arranged, const float *scales,
                                    size_t count, float *y, size_t y_row, int accumulate, int uses_vnni);

// The same products in 8-bit integers: of every 64 elements of x the largest becomes 127, and a weight is its level less `zero`, times
// `scale` and its absmax. Sums of a block are exact; rounding errs by some 1e-2 of a product. The same bits on every CPU that has
// AVX2.
typedef struct {
  uint8_t levels[16];  // at most 127
  float scale, zero;
} sft_four_bit_bytes;

// Whether a level has the instructions.
int sft_four_bit_has_bytes(int level);
// Scales for each x, and corrections; there are `width` bytes.
size_t sft_four_bit_byte_scales(size_t width);
// Lays out `count` x, which are `x_row` floats apart.
void sft_four_bit_arrange_bytes(const sft_four_bit_bytes *code, const float *x, size_t x_row, size_t count, size_t width,
                                int8_t *arranged, float *scales, float *corrections);
// As sft_four_bit_multiply, of rows of whole blocks; with `uses_vnni` by its instructions where the CPU has them: the same bits.
void sft_four_bit_multiply_bytes(const sft_four_bit *matrix, const sft_four_bit_bytes *code, size_t first_row, size_t rows,
                                 size_t width, const int8_t *arranged, const float *scales, const float *corrections,
                                 size_t count, float *y, size_t y_row, int accumulate, int uses_vnni);

// How values become codes: the number of bounds below x / absmax, looked up in `order`, sixteen nibbles, the lowest first.
typedef struct {
  float bounds[15];
  uint64_t order;
} sft_four_bit_code;

// Quantises `count` values from a block's start: packed (count + 1) / 2 bytes, absmax one a block. A last block may be
// short. Returns the first block that holds an infinity or NaN and stops there, or -1.
ptrdiff_t sft_four_bit_encode(const sft_four_bit_code *code, const float *x, size_t count, uint8_t *packed,
                              float *absmax);
// out[columns, rows] = x[rows, columns] transposed; x's rows are `stride` floats apart.
void sft_transpose(const float *x, size_t stride, size_t rows, size_t columns, float *out);

#endif
