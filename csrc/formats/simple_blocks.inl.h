// Decoders of blocks of 32, 64 or 128 numbers.
#pragma once

#include <cstring>

#include "formats/block_decoders.h"

namespace gpt2edge {
namespace {

void set_minima(BlockCodes& out, float min) {
  out.has_min = true;
  out.min[0] = out.min[1] = min;
}

// Nibbles hold numbers 0..15 in their low halves and 16..31 in their high halves; bit i of `fifth`
// is the fifth bit of number i.
void set_five_bits(BlockCodes& out, const uint8_t* nibbles, uint32_t fifth, int offset) {
  set_from_nibbles(out, nibbles, 0, 16);
  for (int i = 0; i < 32; ++i) {
    const int high = static_cast<int>(fifth >> i & 1) << 4;
    out.code[i] = code((out.code[i] | high) - offset);
  }
}

// 2^(e - 128). The least two have no implicit bit.
float scale_of_exponent(uint8_t e) {
  return float_of_bits(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

// Half of what 4 bits of exponent (bias 7) and 3 of mantissa stand for; the top bit is not used,
// and what would be NaN is zero.
float half_of_e4m3(uint8_t bits) {
  const uint32_t exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (bits == 0x7F) return 0.0f;
  if (exponent == 0) return static_cast<float>(mantissa) * (1.0f / 1024.0f);
  return float_of_bits((exponent + 119) << 23 | mantissa << 20);
}

void decode(const BlockQ8_0& block, int, BlockCodes& out) {
  std::memcpy(out.code, block.qs, sizeof out.code);
  set_scale(out, half_to_float(block.d));
}

void decode(const BlockQ4_0& block, int, BlockCodes& out) {
  set_from_nibbles(out, block.qs, 0, 16, 8);
  set_scale(out, half_to_float(block.d));
}

void decode(const BlockQ4_1& block, int, BlockCodes& out) {
  set_from_nibbles(out, block.qs, 0, 16);
  set_scale(out, half_to_float(block.d));
  set_minima(out, half_to_float(block.m));
}

void decode(const BlockQ5_0& block, int, BlockCodes& out) {
  set_five_bits(out, block.qs, word_at(block.qh), 16);
  set_scale(out, half_to_float(block.d));
}

void decode(const BlockQ5_1& block, int, BlockCodes& out) {
  set_five_bits(out, block.qs, word_at(block.qh), 0);
  set_scale(out, half_to_float(block.d));
  set_minima(out, half_to_float(block.m));
}

void decode(const BlockIQ4_NL& block, int, BlockCodes& out) {
  set_from_nibbles(out, block.qs, 0, 16);
  set_scale(out, half_to_float(block.d));
}

void decode(const BlockMXFP4& block, int, BlockCodes& out) {
  set_from_nibbles(out, block.qs, 0, 16);
  set_scale(out, scale_of_exponent(block.e));
}

void decode(const BlockNVFP4& block, int i, BlockCodes& out) {
  for (int h = 0; h < 2; ++h) {
    const int sub = 2 * i + h;
    set_from_nibbles(out, block.qs + 8 * sub, 16 * h, 8);
    out.scale[h] = half_of_e4m3(block.d[sub]);
  }
}

void decode(const BlockQ1_0& block, int i, BlockCodes& out) {
  const uint32_t bits = word_at(block.qs + 4 * i);
  for (int n = 0; n < 32; ++n) out.code[n] = (bits >> n & 1) != 0 ? 1 : -1;
  set_scale(out, half_to_float(block.d));
}

void decode(const BlockQ2_0& block, int i, BlockCodes& out) {
  const uint8_t* pairs = block.qs + 8 * i;
  for (int n = 0; n < 32; ++n) out.code[n] = code((pairs[n / 4] >> n % 4 * 2 & 3) - 1);
  set_scale(out, half_to_float(block.d));
}

}  // namespace
}  // namespace gpt2edge
