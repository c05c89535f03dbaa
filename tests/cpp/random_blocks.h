// Blocks of any type, as a file may hold them, of random bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/half.h"
#include "formats/ggml_blocks.h"
#include "random.h"

namespace gpt2edge::test {

// Where a block has its half floats, which must be ordinary numbers.
inline std::vector<size_t> half_offsets(TensorType type) {
  switch (type) {
    case TensorType::Q4_1:
    case TensorType::Q5_1:
    case TensorType::Q4_K:
    case TensorType::Q5_K:
      return {0, 2};
    case TensorType::Q2_K:
      return {80, 82};
    case TensorType::Q3_K:
      return {108};
    case TensorType::Q6_K:
      return {208};
    case TensorType::TQ1_0:
      return {52};
    case TensorType::TQ2_0:
      return {64};
    case TensorType::IQ1_M:
    case TensorType::MXFP4:
    case TensorType::NVFP4:
      return {};
    default:
      return {0};
  }
}

// And what else is not a code.
inline void draw_other_scales(TensorType type, std::byte* block, Random& random) {
  if (type == TensorType::MXFP4) block[0] = static_cast<std::byte>(118 + random.below(8));
  if (type != TensorType::IQ1_M) return;
  const uint16_t d = float_to_half(random.uniform(-2, 2) * 0.02f);
  for (int part = 0; part < 4; ++part) {  // four bits each, the top ones of every other byte
    std::byte& high = block[49 + 2 * part];
    high = (high & std::byte{15}) | static_cast<std::byte>((d >> 4 * part & 15) << 4);
  }
}

inline void draw_blocks(TensorType type, std::span<std::byte> bytes, Random& random) {
  if (type == TensorType::F32) {
    for (size_t i = 0; i < bytes.size(); i += 4) {
      const float x = random.uniform(-2, 2);
      std::memcpy(&bytes[i], &x, 4);
    }
    return;
  }
  // Any bits are codes; scales are drawn.
  for (auto& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  const TypeTraits& traits = *type_traits(static_cast<uint32_t>(type));
  const bool is_half = traits.block_size == 1;
  const auto step = static_cast<size_t>(traits.block_bytes);
  for (size_t i = 0; i < bytes.size(); i += step) {
    for (const size_t offset : half_offsets(type)) {
      const float x = random.uniform(-2, 2) * (is_half ? 1.0f : 0.02f);
      const uint16_t bits = type == TensorType::BF16 ? float_to_bfloat16(x) : float_to_half(x);
      std::memcpy(&bytes[i + offset], &bits, 2);
    }
    draw_other_scales(type, &bytes[i], random);
  }
}

}  // namespace gpt2edge::test
