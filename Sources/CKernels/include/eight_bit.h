// Block-wise 8-bit quantisation with a dynamic map (Dettmers 2016, 2022), as bitsandbytes computes it on CPUs: a value divided
// by its block's absmax picks one of 65,536 equal bins of [-1, 1], and the bin's code is the map's entry nearest to its
// centre.
#ifndef EIGHT_BIT_H
#define EIGHT_BIT_H

#include <stddef.h>
#include <stdint.h>

#define SFT_EIGHT_BIT_BLOCK 256

// Quantises `count` values in blocks of 256, the last perhaps short: codes one each, absmax one a block.
void sft_eight_bit_encode(const uint8_t *bins, const float *x, size_t count, uint8_t *codes, float *absmax);

// A dynamic map: 256 values and 65,536 bins.
typedef struct {
  const float *values;
  const uint8_t *bins;
} sft_dynamic_map;

// What one AdamW update with 8-bit moments multiplies by, worked out in double by the caller.
typedef struct {
  float gradient_scale, decay, beta1, one_minus_beta1, beta2, one_minus_beta2, negative_step_size, bias_correction2_sqrt,
      epsilon;
} sft_adamw_8bit_factors;

// AdamW on `count` parameters from a block's start, with moments as codes and one absmax a block each.
void sft_adamw_8bit(float *parameters, const float *gradients, uint8_t *m_codes, uint8_t *v_codes, float *m_absmax,
                    float *v_absmax, size_t count, sft_dynamic_map m_map, sft_dynamic_map v_map,
                    sft_adamw_8bit_factors factors);

#endif
