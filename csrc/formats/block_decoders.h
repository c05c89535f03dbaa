// What the decoders of blocks share, which block_codes.cpp includes: simple_blocks.inl.h those of
// 32, 64 or 128 numbers, super_blocks.inl.h those of 256, grid_blocks.inl.h those of 256 that are
// points of a grid. decode(block, i, out) decodes the block's numbers 32 i .. 32 i + 31.
#pragma once

#include <cstring>

#include "base/half.h"
#include "formats/block_codes.h"

namespace gpt2edge {
namespace {

int8_t code(int value) { return static_cast<int8_t>(value); }

template <typename Word = uint32_t>
Word word_at(const uint8_t* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

void set_scale(BlockCodes& out, float scale) { out.scale[0] = out.scale[1] = scale; }

// Of numbers 16 h .. 16 h + 15: factor * scale.
void set_sub_scale(BlockCodes& out, float factor, int h, int scale) {
  out.factor = factor;
  out.sub_scale[h] = code(scale);
  out.scale[h] = factor * static_cast<float>(scale);
}

// Likewise d * scale, d a half float.
void set_half_scale(BlockCodes& out, uint16_t d, int h, int scale) {
  out.d = d;
  set_sub_scale(out, half_to_float(d), h, scale);
}

// And -(dmin * min).
void set_half_min(BlockCodes& out, uint16_t dmin, int h, int min) {
  out.has_min = true;
  out.dmin = dmin;
  out.sub_min[h] = code(min);
  out.min[h] = -(half_to_float(dmin) * static_cast<float>(min));
}

// Codes from nibbles: numbers first .. first + n - 1 in the low halves of n bytes, the next n in
// the high ones; `offset` is what they are stored with.
void set_from_nibbles(BlockCodes& out, const uint8_t* nibbles, int first, int n, int offset = 0) {
  for (int i = 0; i < n; ++i) {
    out.code[first + i] = code((nibbles[i] & 15) - offset);
    out.code[first + i + n] = code((nibbles[i] >> 4) - offset);
  }
}

}  // namespace
}  // namespace gpt2edge
