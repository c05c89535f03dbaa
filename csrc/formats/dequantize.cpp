#include "formats/dequantize.h"

#include <cstring>

#include "base/half.h"

namespace gpt2edge {
namespace {

float number(const float& x) { return x; }
float number(const uint16_t& half) { return half_to_float(half); }

struct Bfloat16 {
  uint16_t bits;
};
float number(const Bfloat16& x) { return bfloat16_to_float(x.bits); }

template <typename Stored>
void floats(const std::byte* in, float* out, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    Stored stored;
    std::memcpy(&stored, in + i * sizeof stored, sizeof stored);
    out[i] = number(stored);
  }
}

// Calls decode(block, out) for each block of Size numbers.
template <typename Block, size_t Size, typename Decode>
void blocks(const std::byte* in, float* out, size_t n, Decode decode) {
  for (size_t b = 0; b < n / Size; ++b) {
    Block block;
    std::memcpy(&block, in + b * sizeof block, sizeof block);
    decode(block, out + b * Size);
  }
}

uint32_t fifth_bits(const uint8_t* qh) {
  uint32_t bits;
  std::memcpy(&bits, qh, sizeof bits);
  return bits;
}

// Code i of 32, stored as a nibble and, for five-bit types, a bit of `fifth`.
int code(const uint8_t* qs, uint32_t fifth, int i) {
  const int nibble = i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
  return nibble | static_cast<int>(fifth >> i & 1) << 4;
}

void q8_0(const BlockQ8_0& block, float* out) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
}

template <typename Block>
void scaled(const Block& block, uint32_t fifth, int offset, float* out) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(code(block.qs, fifth, i) - offset) * d;
  }
}

template <typename Block>
void affine(const Block& block, uint32_t fifth, float* out) {
  const float d = half_to_float(block.d), m = half_to_float(block.m);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(code(block.qs, fifth, i)) * d + m;
}

// The 6-bit scale and min of sub-block `sub` of 8. The first four lie whole in bytes 0..3 and 4..7,
// whose top two bits carry the top bits of the last four.
void k_scale_and_min(const uint8_t* s, int sub, int& scale, int& min) {
  if (sub < 4) {
    scale = s[sub] & 63;
    min = s[sub + 4] & 63;
  } else {
    scale = (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4;
    min = s[sub + 4] >> 4 | (s[sub] >> 6) << 4;
  }
}

// Q4_K and Q5_K: sub-blocks 2k and 2k + 1 are the low and high halves of the same 32 bytes.
template <typename Block, typename HighBit>
void k_affine(const Block& block, HighBit high_bit, float* out) {
  const float d = half_to_float(block.d), dmin = half_to_float(block.dmin);
  for (int sub = 0; sub < 8; ++sub) {
    int scale, min;
    k_scale_and_min(block.scales, sub, scale, min);
    const float step = d * static_cast<float>(scale), low = dmin * static_cast<float>(min);
    const uint8_t* qs = block.qs + 32 * (sub / 2);
    for (int i = 0; i < 32; ++i) {
      const int q = (qs[i] >> (sub % 2 * 4) & 15) | high_bit(sub, i) << 4;
      out[32 * sub + i] = step * static_cast<float>(q) - low;
    }
  }
}

void q4_k(const BlockQ4_K& block, float* out) {
  k_affine(block, [](int, int) { return 0; }, out);
}

void q5_k(const BlockQ5_K& block, float* out) {
  k_affine(block, [&](int sub, int i) { return block.qh[i] >> sub & 1; }, out);
}

void q6_k(const BlockQ6_K& block, float* out) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, run = i % 128 / 32, j = i % 32;
    const int low = block.ql[64 * half + 32 * (run % 2) + j] >> (run / 2 * 4) & 15;
    const int high = block.qh[32 * half + j] >> (2 * run) & 3;
    const float step = d * static_cast<float>(block.scales[i / 16]);
    out[i] = step * static_cast<float>((low | high << 4) - 32);
  }
}

}  // namespace

void dequantize_row(TensorType type, const std::byte* in, float* out, size_t n) {
  switch (type) {
    case TensorType::F32:
      return floats<float>(in, out, n);
    case TensorType::F16:
      return floats<uint16_t>(in, out, n);
    case TensorType::BF16:
      return floats<Bfloat16>(in, out, n);
    case TensorType::Q8_0:
      return blocks<BlockQ8_0, 32>(in, out, n, q8_0);
    case TensorType::Q4_0:
      return blocks<BlockQ4_0, 32>(in, out, n,
                                   [](const BlockQ4_0& b, float* o) { scaled(b, 0, 8, o); });
    case TensorType::Q5_0:
      return blocks<BlockQ5_0, 32>(
          in, out, n, [](const BlockQ5_0& b, float* o) { scaled(b, fifth_bits(b.qh), 16, o); });
    case TensorType::Q4_1:
      return blocks<BlockQ4_1, 32>(in, out, n,
                                   [](const BlockQ4_1& b, float* o) { affine(b, 0, o); });
    case TensorType::Q5_1:
      return blocks<BlockQ5_1, 32>(
          in, out, n, [](const BlockQ5_1& b, float* o) { affine(b, fifth_bits(b.qh), o); });
    case TensorType::Q4_K:
      return blocks<BlockQ4_K, 256>(in, out, n, q4_k);
    case TensorType::Q5_K:
      return blocks<BlockQ5_K, 256>(in, out, n, q5_k);
    case TensorType::Q6_K:
      return blocks<BlockQ6_K, 256>(in, out, n, q6_k);
  }
}

}  // namespace gpt2edge
