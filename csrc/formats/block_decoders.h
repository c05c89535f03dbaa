// How each type's blocks are read, for block_codes.cpp alone: decode(block, i, out) decodes the
// block's numbers 32 i .. 32 i + 31.
#pragma once

#include <cstring>

#include "base/half.h"
#include "formats/block_codes.h"

namespace gpt2edge::block_decoders {

// 32, 64 or 128 numbers (simple_blocks.cpp)
void decode(const BlockQ8_0& block, int i, BlockCodes& out);
void decode(const BlockQ4_0& block, int i, BlockCodes& out);
void decode(const BlockQ4_1& block, int i, BlockCodes& out);
void decode(const BlockQ5_0& block, int i, BlockCodes& out);
void decode(const BlockQ5_1& block, int i, BlockCodes& out);
void decode(const BlockIQ4_NL& block, int i, BlockCodes& out);
void decode(const BlockMXFP4& block, int i, BlockCodes& out);
void decode(const BlockNVFP4& block, int i, BlockCodes& out);
void decode(const BlockQ1_0& block, int i, BlockCodes& out);
void decode(const BlockQ2_0& block, int i, BlockCodes& out);

// 256 numbers (super_blocks.cpp)
void decode(const BlockQ2_K& block, int i, BlockCodes& out);
void decode(const BlockQ3_K& block, int i, BlockCodes& out);
void decode(const BlockQ4_K& block, int i, BlockCodes& out);
void decode(const BlockQ5_K& block, int i, BlockCodes& out);
void decode(const BlockQ6_K& block, int i, BlockCodes& out);
void decode(const BlockIQ4_XS& block, int i, BlockCodes& out);
void decode(const BlockTQ1_0& block, int i, BlockCodes& out);
void decode(const BlockTQ2_0& block, int i, BlockCodes& out);

// 256 numbers that are points of a grid (grid_blocks.cpp)
void decode(const BlockIQ1_S& block, int i, BlockCodes& out);
void decode(const BlockIQ1_M& block, int i, BlockCodes& out);
void decode(const BlockIQ2_XXS& block, int i, BlockCodes& out);
void decode(const BlockIQ2_XS& block, int i, BlockCodes& out);
void decode(const BlockIQ2_S& block, int i, BlockCodes& out);
void decode(const BlockIQ3_XXS& block, int i, BlockCodes& out);
void decode(const BlockIQ3_S& block, int i, BlockCodes& out);

// ---- what they share ----

inline int8_t code(int value) { return static_cast<int8_t>(value); }

template <typename Word = uint32_t>
Word word_at(const uint8_t* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline void set_scale(BlockCodes& out, float scale) { out.scale[0] = out.scale[1] = scale; }

// Of numbers 16 h .. 16 h + 15: factor * scale.
inline void set_sub_scale(BlockCodes& out, float factor, int h, int scale) {
  out.factor = factor;
  out.sub_scale[h] = code(scale);
  out.scale[h] = factor * static_cast<float>(scale);
}

// Likewise -(factor * min).
inline void set_sub_min(BlockCodes& out, float factor, int h, int min) {
  out.has_min = true;
  out.min_factor = factor;
  out.sub_min[h] = code(min);
  out.min[h] = -(factor * static_cast<float>(min));
}

// The codes' nibbles: numbers first .. first + n - 1 in the low halves of n bytes, the next n in
// the high ones. `to_code` makes a code of each.
template <typename ToCode>
void set_from_nibbles(BlockCodes& out, const uint8_t* nibbles, int first, int n, ToCode to_code) {
  for (int i = 0; i < n; ++i) {
    out.code[first + i] = code(to_code(nibbles[i] & 15));
    out.code[first + i + n] = code(to_code(nibbles[i] >> 4));
  }
}

}  // namespace gpt2edge::block_decoders
