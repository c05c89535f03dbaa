// Activations to int8: per row and 32 inputs, code = round(x * 127 / max|x|), ties to even.
#pragma once

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// 16 inputs to codes; returns the sum of the codes.
int32_t quantize_16(Isa::Floats x, Isa::Floats inverse_scale, int8_t* codes) {
  const Isa::Floats shift = Isa::broadcast(kRoundingShift), limit = Isa::broadcast(127.0f);
  // The limits also turn a NaN, which only a broken model yields, into a number.
  const Isa::Floats scaled = Isa::min(Isa::max(Isa::mul(x, inverse_scale), Isa::broadcast(-127.0f)), limit);
  const Isa::Floats shifted = Isa::add(scaled, shift);
  Isa::store_low_bytes(codes, shifted);
  // Sums of small integers are exact in float.
  return static_cast<int32_t>(Isa::sum(Isa::sub(shifted, shift)));
}

void quantize_rows(const QuantizeArgs& args) {
  const int n_blocks = args.n_in / kBlockInputs;
  for (int row = 0; row < args.n_rows; ++row) {
    const float* x = args.values + args.stride * row;
    const size_t first = static_cast<size_t>(row) * n_blocks;
    for (int b = 0; b < n_blocks; ++b) {
      const Isa::Floats low = Isa::load(x + 32 * b), high = Isa::load(x + 32 * b + 16);
      const Isa::Floats zero = Isa::broadcast(0.0f);
      const Isa::Floats magnitude = Isa::max(Isa::max(low, Isa::sub(zero, low)),
                                             Isa::max(high, Isa::sub(zero, high)));
      const float largest = Isa::max_lane(magnitude);
      // Finite and ordinary, or the whole block is zero: no infinity reaches the codes.
      const bool usable = largest >= 1e-30f && largest <= 1e38f;
      const Isa::Floats inverse = Isa::broadcast(usable ? 127.0f / largest : 0.0f);
      int8_t* codes = args.out.codes + (first + b) * kBlockInputs;
      args.out.scales[first + b] = largest / 127.0f;
      args.out.sums[2 * (first + b)] = quantize_16(low, inverse, codes);
      args.out.sums[2 * (first + b) + 1] = quantize_16(high, inverse, codes + 16);
    }
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
