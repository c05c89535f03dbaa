// Decoders of blocks of 256 numbers.
#pragma once

#include "formats/block_decoders.h"

namespace gpt2edge {
namespace {

// Two bits of each number: in each half of a block, four runs of 32 share 32 bytes.
int two_bits(const uint8_t* bytes, int i, int n) {
  return bytes[32 * (i / 4) + n] >> (i % 4 * 2) & 3;
}

// Q4_K and Q5_K: 8 sub-blocks of 32 share two half floats; each has a 6-bit scale and a 6-bit min.
// The first four lie whole in bytes 0..3 and 4..7, whose top two bits carry the top bits of the
// last four. Sub-blocks 2k and 2k + 1 are the low and high halves of the same 32 bytes.
template <typename Block, typename FifthBit>
void decode_k(const Block& block, int i, FifthBit fifth_bit, BlockCodes& out) {
  const uint8_t* s = block.scales;
  const int scale = i < 4 ? s[i] & 63 : (s[i + 4] & 15) | (s[i - 4] >> 6) << 4;
  const int min = i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | (s[i] >> 6) << 4;
  const uint8_t* nibbles = block.qs + 32 * (i / 2);
  const int shift = i % 2 * 4;
  for (int n = 0; n < 32; ++n) out.code[n] = code((nibbles[n] >> shift & 15) | fifth_bit(n) << 4);
  for (int h = 0; h < 2; ++h) {
    set_half_scale(out, block.d, h, scale);
    set_half_min(out, block.dmin, h, min);
  }
}

// Ternary digit number `place` of a byte that is a fraction of 256 in base 3.
int ternary_digit(uint8_t byte, int place) {
  constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  return static_cast<uint8_t>(byte * kPowers[place]) * 3 >> 8;
}

// Number n of a TQ1_0 block: 32 bytes hold numbers 0..159, their first digits first, 16 bytes 160
// to 239 and 4 bytes the last 16.
int ternary_code(const BlockTQ1_0& block, int n) {
  if (n < 160) return ternary_digit(block.qs[n % 32], n / 32);
  if (n < 240) return ternary_digit(block.qs[32 + n % 16], (n - 160) / 16);
  return ternary_digit(block.qh[n % 4], (n - 240) / 4);
}

void decode(const BlockQ2_K& block, int i, BlockCodes& out) {
  for (int n = 0; n < 32; ++n) out.code[n] = code(two_bits(block.qs, i, n));
  for (int h = 0; h < 2; ++h) {
    const uint8_t both = block.scales[2 * i + h];
    set_half_scale(out, block.d, h, both & 15);
    set_half_min(out, block.dmin, h, both >> 4);
  }
}

// Scale k has its low four bits in a half of byte k mod 8, its high two in one of bytes 8 to 11.
void decode(const BlockQ3_K& block, int i, BlockCodes& out) {
  for (int n = 0; n < 32; ++n) {
    out.code[n] = code((two_bits(block.qs, i, n) | (block.hmask[n] >> i & 1) << 2) - 4);
  }
  for (int h = 0; h < 2; ++h) {
    const int k = 2 * i + h;
    const int low = block.scales[k % 8] >> (k / 8 * 4) & 15;
    const int high = block.scales[8 + k % 4] >> (k / 4 * 2) & 3;
    set_half_scale(out, block.d, h, (low | high << 4) - 32);
  }
}

void decode(const BlockQ4_K& block, int i, BlockCodes& out) {
  decode_k(block, i, [](int) { return 0; }, out);
}

void decode(const BlockQ5_K& block, int i, BlockCodes& out) {
  decode_k(block, i, [&](int n) { return block.qh[n] >> i & 1; }, out);
}

// Q6_K: two halves of 128; in each, four runs of 32 take their low bits from 64 bytes of nibbles
// and their two high bits from one of four bit pairs of 32 bytes. A scale for every 16.
void decode(const BlockQ6_K& block, int i, BlockCodes& out) {
  const int half = i / 4, run = i % 4;
  const uint8_t* low = block.ql + 64 * half + 32 * (run % 2);
  for (int n = 0; n < 32; ++n) {
    const int bits = (low[n] >> (run / 2 * 4) & 15) | two_bits(block.qh, i, n) << 4;
    out.code[n] = code(bits - 32);
  }
  for (int h = 0; h < 2; ++h) {
    set_half_scale(out, block.d, h, block.scales[2 * i + h]);
  }
}

void decode(const BlockIQ4_XS& block, int i, BlockCodes& out) {
  set_from_nibbles(out, block.qs + 16 * i, 0, 16);
  const int low = block.scales_l[i / 2] >> (i % 2 * 4) & 15, high = block.scales_h >> (2 * i) & 3;
  for (int h = 0; h < 2; ++h) {
    set_half_scale(out, block.d, h, (low | high << 4) - 32);
  }
}

void decode(const BlockTQ1_0& block, int i, BlockCodes& out) {
  for (int n = 0; n < 32; ++n) out.code[n] = code(ternary_code(block, 32 * i + n) - 1);
  set_scale(out, half_to_float(block.d));
}

void decode(const BlockTQ2_0& block, int i, BlockCodes& out) {
  for (int n = 0; n < 32; ++n) out.code[n] = code(two_bits(block.qs, i, n) - 1);
  set_scale(out, half_to_float(block.d));
}

}  // namespace
}  // namespace gpt2edge
