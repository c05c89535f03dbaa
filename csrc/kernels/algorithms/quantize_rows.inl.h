// Activations to int8: per row and 32 inputs, code = round(x * 127 / max|x|), ties to even.
#pragma once

#include <string.h>

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// 16 inputs to codes; returns the sum of the codes.
GPT2EDGE_INLINE int32_t quantize_16(Isa::Floats x, Isa::Floats inverse_scale, int8_t* codes) {
  const Isa::Floats shift = Isa::broadcast(kRoundingShift), limit = Isa::broadcast(127.0f);
  // The limits also turn a NaN, which only a broken model yields, into a number.
  const Isa::Floats scaled =
      Isa::min(Isa::max(Isa::mul(x, inverse_scale), Isa::broadcast(-127.0f)), limit);
  const Isa::Floats shifted = Isa::add(scaled, shift);
  Isa::store_low_bytes(codes, shifted);
  // Sums of small integers are exact in float.
  return static_cast<int32_t>(Isa::sum(Isa::sub(shifted, shift)));
}

// 32 inputs of row `row` of a tile of `width` rows; `first` is the block's place, counted in
// blocks.
void quantize_block(const float* x, const QuantizedRows& out, size_t first, int row, int width) {
  const Isa::Floats low = Isa::load(x), high = Isa::load(x + 16), zero = Isa::broadcast(0.0f);
  const Isa::Floats magnitude =
      Isa::max(Isa::max(low, Isa::sub(zero, low)), Isa::max(high, Isa::sub(zero, high)));
  const float largest = Isa::max_lane(magnitude);
  // Finite and ordinary, or the whole block is zero: no infinity reaches the codes.
  const bool usable = largest >= 1e-30f && largest <= 1e38f;
  const Isa::Floats inverse = Isa::broadcast(usable ? 127.0f / largest : 0.0f);
  int8_t codes[32];
  const int32_t low_sum = quantize_16(low, inverse, codes);
  const int32_t high_sum = quantize_16(high, inverse, codes + 16);
  for (int step = 0; step < 8; ++step) {
    int8_t* to = out.codes + first * kBlockInputs + 4 * (width * step + row);
    memcpy(to, codes + 4 * step, 4);
  }
  out.sums[2 * first + row] = low_sum;
  out.sums[2 * first + width + row] = high_sum;
  const size_t at = first + row;
  out.scales[at] = largest / 127.0f;
  out.starts8[at] = -Isa::kCodeBias * (low_sum + high_sum);
  out.starts4[at] = -8 * (low_sum + high_sum);
}

void quantize_tile(const QuantizeArgs& args) {
  const int width = args.n_rows;
  const int n_blocks = args.n_in / kBlockInputs;
  const size_t first = static_cast<size_t>(args.first_row) * n_blocks;
  for (int row = 0; row < width; ++row) {
    const float* x = args.values + args.stride * row;
    for (int b = 0; b < n_blocks; ++b) {
      quantize_block(x + kBlockInputs * b, args.out, first + static_cast<size_t>(b) * width, row,
                     width);
    }
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
