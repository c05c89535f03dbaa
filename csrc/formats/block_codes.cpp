#include "formats/block_codes.h"

#include <cstring>

#include "base/half.h"

namespace gpt2edge {
namespace {

template <typename Block>
Block block_at(const std::byte* row, size_t index) {
  Block block;
  std::memcpy(&block, row + sizeof(Block) * index, sizeof block);
  return block;
}

int8_t code(int value) { return static_cast<int8_t>(value); }

void set_scale(BlockCodes& out, float scale) {
  out.scale[0] = out.scale[1] = scale;
  out.min = 0.0f;
  out.has_min = false;
}

void set_scale_and_min(BlockCodes& out, float scale, float min) {
  set_scale(out, scale);
  out.min = min;
  out.has_min = true;
}

// Nibbles hold numbers 0..15 in their low halves and 16..31 in their high halves; bit i of `fifth`
// is the fifth bit of number i.
void set_codes(BlockCodes& out, const uint8_t* nibbles, uint32_t fifth, int offset) {
  for (int i = 0; i < 16; ++i) {
    const int low = (nibbles[i] & 15) | static_cast<int>(fifth >> i & 1) << 4;
    const int high = nibbles[i] >> 4 | static_cast<int>(fifth >> (i + 16) & 1) << 4;
    out.code[i] = code(low - offset);
    out.code[i + 16] = code(high - offset);
  }
}

uint32_t word_at(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

void decode_q8_0(const BlockQ8_0& block, BlockCodes& out) {
  std::memcpy(out.code, block.qs, sizeof out.code);
  set_scale(out, half_to_float(block.d));
}

void decode_q4_0(const BlockQ4_0& block, BlockCodes& out) {
  set_codes(out, block.qs, 0, 8);
  set_scale(out, half_to_float(block.d));
}

void decode_q4_1(const BlockQ4_1& block, BlockCodes& out) {
  set_codes(out, block.qs, 0, 0);
  set_scale_and_min(out, half_to_float(block.d), half_to_float(block.m));
}

void decode_q5_0(const BlockQ5_0& block, BlockCodes& out) {
  set_codes(out, block.qs, word_at(block.qh), 16);
  set_scale(out, half_to_float(block.d));
}

void decode_q5_1(const BlockQ5_1& block, BlockCodes& out) {
  set_codes(out, block.qs, word_at(block.qh), 0);
  set_scale_and_min(out, half_to_float(block.d), half_to_float(block.m));
}

// Q4_K and Q5_K: 8 sub-blocks of 32 share two half floats; each has a 6-bit scale and a 6-bit min.
// The first four lie whole in bytes 0..3 and 4..7, whose top two bits carry the top bits of the
// last four. Sub-blocks 2k and 2k + 1 are the low and high halves of the same 32 bytes.
template <typename Block, typename FifthBit>
void decode_k(const Block& block, int sub, FifthBit fifth_bit, BlockCodes& out) {
  const uint8_t* s = block.scales;
  const int scale = sub < 4 ? s[sub] & 63 : (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4;
  const int min = sub < 4 ? s[sub + 4] & 63 : s[sub + 4] >> 4 | (s[sub] >> 6) << 4;
  const uint8_t* nibbles = block.qs + 32 * (sub / 2);
  const int shift = sub % 2 * 4;
  for (int i = 0; i < 32; ++i) out.code[i] = code((nibbles[i] >> shift & 15) | fifth_bit(i) << 4);
  set_scale_and_min(out, half_to_float(block.d) * static_cast<float>(scale),
                    -(half_to_float(block.dmin) * static_cast<float>(min)));
  out.d = block.d;
  out.dmin = block.dmin;
  out.sub_scale[0] = out.sub_scale[1] = code(scale);
  out.sub_min = code(min);
}

// Q6_K: two halves of 128; in each, four runs of 32 take their low bits from 64 bytes of nibbles
// and their two high bits from one of four bit pairs of 32 bytes. A scale for every 16.
void decode_q6_k(const BlockQ6_K& block, int sub, BlockCodes& out) {
  const int half = sub / 4, run = sub % 4;
  const uint8_t* low = block.ql + 64 * half + 32 * (run % 2);
  const uint8_t* high = block.qh + 32 * half;
  for (int i = 0; i < 32; ++i) {
    const int bits = (low[i] >> (run / 2 * 4) & 15) | (high[i] >> (2 * run) & 3) << 4;
    out.code[i] = code(bits - 32);
  }
  set_scale(out, 0.0f);
  for (int h = 0; h < 2; ++h) {
    out.sub_scale[h] = block.scales[2 * sub + h];
    out.scale[h] = half_to_float(block.d) * static_cast<float>(out.sub_scale[h]);
  }
  out.d = block.d;
}

}  // namespace

void decode_block(TensorType type, const std::byte* row, size_t b, BlockCodes& out) {
  const int sub = static_cast<int>(b % 8);  // of a block of 256
  switch (type) {
    case TensorType::Q8_0:
      return decode_q8_0(block_at<BlockQ8_0>(row, b), out);
    case TensorType::Q4_0:
      return decode_q4_0(block_at<BlockQ4_0>(row, b), out);
    case TensorType::Q4_1:
      return decode_q4_1(block_at<BlockQ4_1>(row, b), out);
    case TensorType::Q5_0:
      return decode_q5_0(block_at<BlockQ5_0>(row, b), out);
    case TensorType::Q5_1:
      return decode_q5_1(block_at<BlockQ5_1>(row, b), out);
    case TensorType::Q4_K:
      return decode_k(block_at<BlockQ4_K>(row, b / 8), sub, [](int) { return 0; }, out);
    case TensorType::Q5_K: {
      const auto block = block_at<BlockQ5_K>(row, b / 8);
      return decode_k(block, sub, [&](int i) { return block.qh[i] >> sub & 1; }, out);
    }
    case TensorType::Q6_K:
      return decode_q6_k(block_at<BlockQ6_K>(row, b / 8), sub, out);
    case TensorType::F32:
    case TensorType::F16:
    case TensorType::BF16:
      return;  // not integers: callers convert these directly
  }
}

}  // namespace gpt2edge
