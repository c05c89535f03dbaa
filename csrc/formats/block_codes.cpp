#include "formats/block_codes.h"

#include <cstring>

#include "formats/grid_blocks.inl.h"
#include "formats/simple_blocks.inl.h"
#include "formats/super_blocks.inl.h"

namespace gpt2edge {
namespace {

template <typename Block, int Numbers>
void decode_in_row(const std::byte* row, size_t b, BlockCodes& out) {
  constexpr size_t kParts = Numbers / 32;
  Block block;
  std::memcpy(&block, row + sizeof(Block) * (b / kParts), sizeof block);
  out.has_min = false;
  out.min[0] = out.min[1] = 0.0f;
  decode(block, static_cast<int>(b % kParts), out);
}

}  // namespace

void decode_block(TensorType type, const std::byte* row, size_t b, BlockCodes& out) {
  switch (type) {
    case TensorType::Q8_0:
      return decode_in_row<BlockQ8_0, 32>(row, b, out);
    case TensorType::Q4_0:
      return decode_in_row<BlockQ4_0, 32>(row, b, out);
    case TensorType::Q4_1:
      return decode_in_row<BlockQ4_1, 32>(row, b, out);
    case TensorType::Q5_0:
      return decode_in_row<BlockQ5_0, 32>(row, b, out);
    case TensorType::Q5_1:
      return decode_in_row<BlockQ5_1, 32>(row, b, out);
    case TensorType::Q2_K:
      return decode_in_row<BlockQ2_K, 256>(row, b, out);
    case TensorType::Q3_K:
      return decode_in_row<BlockQ3_K, 256>(row, b, out);
    case TensorType::Q4_K:
      return decode_in_row<BlockQ4_K, 256>(row, b, out);
    case TensorType::Q5_K:
      return decode_in_row<BlockQ5_K, 256>(row, b, out);
    case TensorType::Q6_K:
      return decode_in_row<BlockQ6_K, 256>(row, b, out);
    case TensorType::IQ1_S:
      return decode_in_row<BlockIQ1_S, 256>(row, b, out);
    case TensorType::IQ1_M:
      return decode_in_row<BlockIQ1_M, 256>(row, b, out);
    case TensorType::IQ2_XXS:
      return decode_in_row<BlockIQ2_XXS, 256>(row, b, out);
    case TensorType::IQ2_XS:
      return decode_in_row<BlockIQ2_XS, 256>(row, b, out);
    case TensorType::IQ2_S:
      return decode_in_row<BlockIQ2_S, 256>(row, b, out);
    case TensorType::IQ3_XXS:
      return decode_in_row<BlockIQ3_XXS, 256>(row, b, out);
    case TensorType::IQ3_S:
      return decode_in_row<BlockIQ3_S, 256>(row, b, out);
    case TensorType::IQ4_NL:
      return decode_in_row<BlockIQ4_NL, 32>(row, b, out);
    case TensorType::IQ4_XS:
      return decode_in_row<BlockIQ4_XS, 256>(row, b, out);
    case TensorType::TQ1_0:
      return decode_in_row<BlockTQ1_0, 256>(row, b, out);
    case TensorType::TQ2_0:
      return decode_in_row<BlockTQ2_0, 256>(row, b, out);
    case TensorType::MXFP4:
      return decode_in_row<BlockMXFP4, 32>(row, b, out);
    case TensorType::NVFP4:
      return decode_in_row<BlockNVFP4, 64>(row, b, out);
    case TensorType::Q1_0:
      return decode_in_row<BlockQ1_0, 128>(row, b, out);
    case TensorType::Q2_0:
      return decode_in_row<BlockQ2_0, 64>(row, b, out);
    case TensorType::F32:
    case TensorType::F16:
    case TensorType::BF16:
      return;  // not integers: callers convert these directly
  }
}

}  // namespace gpt2edge
