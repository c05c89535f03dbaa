// Layer normalization. Sums run in 16 lanes (lane i takes the inputs i, i + 16, ...) that are then
// folded in one fixed tree: the same bits whatever the width of the registers.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// The sum of (x - shift)^power over n inputs, power 1 or 2.
template <int Power>
float lane_sum(const float* x, int n, float shift) {
  Isa::Floats sum = Isa::broadcast(0.0f);
  for (int i = 0; i < n; i += 16) {
    Isa::Floats d;
    if (n - i >= 16) {
      d = Isa::sub(Isa::load(x + i), Isa::broadcast(shift));
    } else {
      float tail[16] = {};
      for (int j = 0; j < n - i; ++j) tail[j] = x[i + j] - shift;
      d = Isa::load(tail);
    }
    sum = Power == 1 ? Isa::add(sum, d) : Isa::fma(d, d, sum);
  }
  return Isa::sum(sum);
}

void layer_norm(const LayerNormArgs& args) {
  for (int row = 0; row < args.n_rows; ++row) {
    const float* x = args.values + args.stride * row;
    float* out = args.out + args.out_stride * row;
    const float mean = lane_sum<1>(x, args.n, 0.0f) / static_cast<float>(args.n);
    const float variance = lane_sum<2>(x, args.n, mean) / static_cast<float>(args.n);
    const Isa::Floats means = Isa::broadcast(mean);
    const Isa::Floats inverse =
        Isa::div(Isa::broadcast(1.0f), Isa::sqrt(Isa::broadcast(variance + args.epsilon)));
    for (int i = 0; i < args.n; i += 16) {
      // Gain and bias have room for a multiple of 16, as every vector of parameters does.
      const Isa::Floats unit = Isa::mul(Isa::sub(Isa::load(x + i), means), inverse);
      Isa::store(out + i, Isa::fma(unit, Isa::load(args.gain + i), Isa::load(args.bias + i)));
    }
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
