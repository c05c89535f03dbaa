// The numbers that a block can hold once its scales are chosen, and the choice of the scales.
//
// Number i of a block is scale[i / 16] * level + min[i / 16], level being an integer of the type's
// set: a range, or the table of IQ4_NL and IQ4_XS. The scales are kept as the file will have them,
// so that a number's error is known before the block is written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/ggml_blocks.h"

namespace gpt2edge {

constexpr int kLargestBlock = 256;
constexpr int kGridPart = 16;

struct CodeSet {
  int block;                        // numbers of a block
  int share;                        // that share a scale
  int lowest, highest;              // levels
  const int8_t* table;              // null: all integers between
  int scale_lowest, scale_highest;  // integers that a block's scales are multiples of, or both 0
  bool has_min;                     // of any sign where the block has one scale, else not above 0
  // Scales to try: largest number / step.
  float first_step, step_size;
  int n_steps;
};

// Whether all numbers of a block have one scale.
inline bool has_one_scale(const CodeSet& set) { return set.scale_lowest == set.scale_highest; }

// Null for types that are not written with chosen scales.
const CodeSet* code_set(TensorType type);

struct CodeGrid {
  const CodeSet* set;
  uint16_t d = 0;     // a half float: the scale, or what the scales are multiples of
  uint16_t dmin = 0;  // the same of the min; the multiples of it are negative
  int8_t sub_scale[kLargestBlock / kGridPart] = {};
  int8_t sub_min[kLargestBlock / kGridPart] = {};
  float scale[kLargestBlock / kGridPart] = {};
  float min[kLargestBlock / kGridPart] = {};

  float value(int i, int level) const {
    return scale[i / kGridPart] * static_cast<float>(level) + min[i / kGridPart];
  }
  // The level whose value is nearest to x, for number i of the block.
  int nearest(int i, float x) const;
};

// Chooses the scales for a block at x: those with the least sum of weight * error^2 that is found.
// `weights` are positive, one a number.
CodeGrid fit_grid(const CodeSet& set, const float* x, const float* weights);

// Writes the block; `levels` has one for each number.
void pack_block(TensorType type, const CodeGrid& grid, const int8_t* levels, std::byte* out);

}  // namespace gpt2edge
