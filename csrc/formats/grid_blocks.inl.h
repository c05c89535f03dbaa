// Decoders of blocks of 256 numbers that are points of a grid, by fours or eights.
#pragma once

#include "formats/block_decoders.h"
#include "formats/code_grids.h"

namespace gpt2edge {
namespace {

// Seven signs make eight: their number is even.
unsigned eight_signs(unsigned seven) {
  unsigned parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1) << 7;
}

// Codes first .. first + N - 1, of the N numbers of a point: bit n of `signs` is above the index of
// number n's magnitude.
template <int N>
void set_point(BlockCodes& out, int first, unsigned point, unsigned signs) {
  constexpr unsigned kBits = N == 8 ? 2 : 3;
  for (unsigned n = 0; n < N; ++n) {
    const unsigned magnitude = point >> kBits * n & ((1u << kBits) - 1);
    const unsigned index = magnitude | (signs >> n & 1) << kBits;
    out.code[first + static_cast<int>(n)] = static_cast<int8_t>(index);
  }
}

// Two points of four numbers, with eight signs.
void set_two_points(BlockCodes& out, int first, unsigned a, unsigned b, unsigned signs) {
  set_point<4>(out, first, a, signs);
  set_point<4>(out, first + 4, b, signs >> 4);
}

// Both halves: factor * (2 scale + 1).
void set_odd_scale(BlockCodes& out, float factor, unsigned scale) {
  for (int h = 0; h < 2; ++h) set_sub_scale(out, factor, h, static_cast<int>(2 * scale + 1));
}

// A scale for each half, in the halves of a byte.
void set_odd_scales(BlockCodes& out, float factor, unsigned scales) {
  set_sub_scale(out, factor, 0, static_cast<int>(2 * (scales & 15) + 1));
  set_sub_scale(out, factor, 1, static_cast<int>(2 * (scales >> 4) + 1));
}

// IQ1: the sign is delta's.
void set_ternary_point(BlockCodes& out, int first, unsigned index, bool is_delta_negative) {
  set_point<8>(out, first, code_grids::kIQ1S[index], is_delta_negative ? 255u : 0u);
}

void decode(const BlockIQ1_S& block, int i, BlockCodes& out) {
  const unsigned high = block.qh[i];
  for (int k = 0; k < 4; ++k) {
    const unsigned point = block.qs[4 * i + k] | (high >> 3 * k & 7) << 8;
    set_ternary_point(out, 8 * k, point, (high & 0x8000) != 0);
  }
  set_odd_scale(out, half_to_float(block.d) / 8, high >> 12 & 7);
}

void decode(const BlockIQ1_M& block, int i, BlockCodes& out) {
  for (int k = 0; k < 4; ++k) {
    const unsigned high = block.qh[2 * i + k / 2] >> k % 2 * 4 & 15u;
    set_ternary_point(out, 8 * k, block.qs[4 * i + k] | (high & 7) << 8, (high & 8) != 0);
  }
  unsigned d = 0;
  for (unsigned part = 0; part < 4; ++part) d |= (block.scales[part] >> 12u) << 4 * part;
  const float factor = half_to_float(static_cast<uint16_t>(d)) / 8;
  for (int h = 0; h < 2; ++h) {
    const int k = 2 * i + h;
    set_sub_scale(out, factor, h, 2 * (block.scales[k / 4] >> k % 4 * 3 & 7) + 1);
  }
}

void decode(const BlockIQ2_XXS& block, int i, BlockCodes& out) {
  const uint32_t signs = word_at(block.qs + 8 * i + 4);
  for (int k = 0; k < 4; ++k) {
    const unsigned point = code_grids::kIQ2XXS[block.qs[8 * i + k]];
    set_point<8>(out, 8 * k, point, eight_signs(signs >> 7 * k & 127));
  }
  set_odd_scale(out, half_to_float(block.d) / 8, signs >> 28);
}

void decode(const BlockIQ2_XS& block, int i, BlockCodes& out) {
  for (int k = 0; k < 4; ++k) {
    const unsigned both = word_at<uint16_t>(block.qs + 8 * i + 2 * k);
    set_point<8>(out, 8 * k, code_grids::kIQ2XS[both & 511], eight_signs(both >> 9));
  }
  set_odd_scales(out, half_to_float(block.d) / 8, block.scales[i]);
}

void decode(const BlockIQ2_S& block, int i, BlockCodes& out) {
  for (int k = 0; k < 4; ++k) {
    const unsigned point = block.qs[4 * i + k] | (block.qh[i] >> 2 * k & 3u) << 8;
    set_point<8>(out, 8 * k, code_grids::kIQ2S[point], block.signs[4 * i + k]);
  }
  set_odd_scales(out, half_to_float(block.d) / 8, block.scales[i]);
}

void decode(const BlockIQ3_XXS& block, int i, BlockCodes& out) {
  const uint32_t signs = word_at(block.signs_and_scales + 4 * i);
  for (int k = 0; k < 4; ++k) {
    const uint8_t* points = block.qs + 8 * i + 2 * k;
    set_two_points(out, 8 * k, code_grids::kIQ3XXS[points[0]], code_grids::kIQ3XXS[points[1]],
                   eight_signs(signs >> 7 * k & 127));
  }
  set_odd_scale(out, half_to_float(block.d) / 4, signs >> 28);
}

void decode(const BlockIQ3_S& block, int i, BlockCodes& out) {
  const auto point = [&](int k) {
    return code_grids::kIQ3S[block.qs[8 * i + k] | (block.qh[i] >> k & 1u) << 8];
  };
  for (int k = 0; k < 4; ++k) {
    set_two_points(out, 8 * k, point(2 * k), point(2 * k + 1), block.signs[4 * i + k]);
  }
  set_odd_scale(out, half_to_float(block.d), block.scales[i / 2] >> i % 2 * 4 & 15u);
}

}  // namespace
}  // namespace gpt2edge
