#include "formats/dequantize.h"

#include <cstring>

#include "base/half.h"
#include "formats/block_codes.h"
#include "formats/code_tables.h"

namespace gpt2edge {
namespace {

template <float (*ToFloat)(uint16_t)>
void from_16_bits(const std::byte* in, float* out, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, in + i * sizeof bits, sizeof bits);
    out[i] = ToFloat(bits);
  }
}

void from_codes(const BlockCodes& block, const int8_t* table, float* out) {
  for (int h = 0; h < 2; ++h) {
    for (int i = 16 * h; i < 16 * h + 16; ++i) {
      const int8_t code = table == nullptr ? block.code[i] : table[block.code[i]];
      out[i] = block.scale[h] * static_cast<float>(code);
    }
  }
  // Adding a min of 0 would turn -0 into 0, which the reference does not.
  if (!block.has_min) return;
  for (int i = 0; i < 32; ++i) out[i] += block.min[i / 16];
}

}  // namespace

void dequantize_row(TensorType type, const std::byte* in, float* out, size_t n) {
  if (type == TensorType::F32) {
    std::memcpy(out, in, n * sizeof(float));
  } else if (type == TensorType::F16) {
    from_16_bits<half_to_float>(in, out, n);
  } else if (type == TensorType::BF16) {
    from_16_bits<bfloat16_to_float>(in, out, n);
  } else {
    const int8_t* table = code_table(type);
    BlockCodes block;
    for (size_t b = 0; b < n / 32; ++b) {
      decode_block(type, in, b, block);
      from_codes(block, table, out + 32 * b);
    }
  }
}

}  // namespace gpt2edge
