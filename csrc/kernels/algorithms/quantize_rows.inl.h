// Activations to int8, a scale per row and 32 inputs.
#pragma once

#include <string.h>

#include "kernels/algorithms/codes.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// 32 inputs of row `row` of a tile of `width` rows; `first` is the block's index. `out` is passed
// by value: byte stores may alias a reference, and the compiler would reload it after each.
GPT2EDGE_INLINE void quantize_block(Isa::Floats low, Isa::Floats high, const QuantizedRows out,
                                    size_t first, int row, int width) {
  const float largest = Isa::max_lane(Isa::max(magnitude(low), magnitude(high)));
  const Isa::Floats inverse = Isa::broadcast(inverse_scale(largest));
  int8_t codes[32];
  quantize_16(low, inverse, codes);
  quantize_16(high, inverse, codes + 16);
  const auto [low_sum, high_sum] = Isa::sum_codes(codes, codes + 16);
  int8_t* to = out.codes + first * kBlockInputs + 4 * row;
  for (int step = 0; step < 8; ++step, to += 4 * width) memcpy(to, codes + 4 * step, 4);
  out.sums[2 * first + row] = low_sum;
  out.sums[2 * first + width + row] = high_sum;
  const size_t at = first + row;
  const int32_t sum = low_sum + high_sum;
  const float scale = largest / kLargestCode;
  out.scales[at] = scale;
  out.starts8[at] = -Isa::kCodeBias * sum - Isa::Pairs::products(codes);
  out.starts4[at] = -8 * sum;
  out.scaled_sums[at] = static_cast<float>(sum) * scale;
}

void quantize_tile(const QuantizeArgs& args) {
  const int width = args.n_rows;
  const int n_blocks = args.n_in / kBlockInputs;
  const size_t first = static_cast<size_t>(args.first_row) * n_blocks;
  for (int row = 0; row < width; ++row) {
    const float* x = args.values + args.stride * row;
    for (int b = 0; b < n_blocks; ++b) {
      const float* block = x + kBlockInputs * b;
      quantize_block(Isa::load(block), Isa::load(block + 16), args.out,
                     first + static_cast<size_t>(b) * width, row, width);
    }
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
