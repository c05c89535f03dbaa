// Blocks of every integer type as integers and scales: the one place that knows how they are
// stored.
//
// Dequantizing and packing both start from here. Each type's numbers are scale * code + min, and
// computing them so gives the bits of ggml's reference (ggml-quants.c).
#pragma once

#include "formats/ggml_blocks.h"

namespace gpt2edge {

// 32 numbers of one row.
struct BlockCodes {
  int8_t code[32];
  float scale[2];  // of numbers 0..15 and 16..31; different in Q6_K only
  float min;
  bool has_min;
  // In the K types scale[h] is d * sub_scale[h] and min is -(dmin * sub_min).
  uint16_t d, dmin;  // half floats
  int8_t sub_scale[2], sub_min;
};

// Decodes numbers 32 b .. 32 b + 31 of a row of an integer type (Q...).
void decode_block(TensorType type, const std::byte* row, size_t b, BlockCodes& out);

}  // namespace gpt2edge
