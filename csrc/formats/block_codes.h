// Blocks of every integer type as integers and scales: the one place that knows how they are
// stored.
//
// Dequantizing and packing both start from here. Each type's numbers are scale * code + min, and
// computing them so gives the bits of ggml's reference (ggml-quants.c).
#pragma once

#include "formats/ggml_blocks.h"

namespace gpt2edge {

// 32 numbers of one row. Codes are indices where the type has a table (code_tables.h). Scales and
// minima are those of numbers 0..15 and 16..31, which differ in types with sub-blocks of 16 only.
struct BlockCodes {
  int8_t code[32];
  float scale[2], min[2];
  bool has_min;
  // In blocks of 256 numbers that have several scales, scale[h] is factor * sub_scale[h] and min[h]
  // is -(dmin * sub_min[h]). In the K types factor is d; d and dmin are half floats.
  float factor;
  uint16_t d, dmin;
  int8_t sub_scale[2], sub_min[2];
};

// Decodes numbers 32 b .. 32 b + 31 of a row of an integer type (Q...).
void decode_block(TensorType type, const std::byte* row, size_t b, BlockCodes& out);

}  // namespace gpt2edge
