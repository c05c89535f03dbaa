// The softmax of one row of scores, without the division by the sum.
#pragma once

#include "kernels/algorithms/elementary.inl.h"

namespace gpt2edge::kernels {
namespace {

constexpr int padded_to_16(int n) { return (n + 15) / 16 * 16; }

// Turns n scores into weights e^(score - largest), zero from n to `end`, a multiple of 16, and
// returns their sum.
float exponentiate(float* scores, int n, int end) {
  const int padded = padded_to_16(n);
  for (int i = n; i < padded; ++i) scores[i] = scores[n - 1];
  Isa::Floats largest = Isa::load(scores);
  for (int i = 16; i < padded; i += 16) largest = Isa::max(largest, Isa::load(scores + i));
  const Isa::Floats shift = Isa::broadcast(Isa::max_lane(largest));
  for (int i = 0; i < padded; i += 16) {
    Isa::store(scores + i, exponential(Isa::sub(Isa::load(scores + i), shift)));
  }
  for (int i = n; i < end; ++i) scores[i] = 0.0f;
  Isa::Floats sum = Isa::broadcast(0.0f);
  for (int i = 0; i < padded; i += 16) sum = Isa::add(sum, Isa::load(scores + i));
  return Isa::sum(sum);
}

}  // namespace
}  // namespace gpt2edge::kernels
