// The softmax of one row of scores, without the division by the sum.
#pragma once

#include "kernels/algorithms/elementary.inl.h"

namespace gpt2edge::kernels {
namespace {

constexpr int padded_to_16(int n) { return (n + 15) / 16 * 16; }

// Turns n scores into weights e^(score - largest), zero from n to `end`, a multiple of 16, and
// returns their sum.
float exponentiate(float* scores, int n, int end) {
  const int last = padded_to_16(n) - 16;  // the vector with the last score
  for (int i = n; i < last + 16; ++i) scores[i] = scores[n - 1];
  Isa::Floats largest = Isa::load(scores + last), other = largest;
  int i = 0;
  for (; i + 32 <= last; i += 32) {
    largest = Isa::max(largest, Isa::load(scores + i));
    other = Isa::max(other, Isa::load(scores + i + 16));
  }
  if (i < last) largest = Isa::max(largest, Isa::load(scores + i));
  const Isa::Floats shift = Isa::broadcast(Isa::max_lane(Isa::max(largest, other)));
  const auto weight = [&](int at) { return exponential(Isa::sub(Isa::load(scores + at), shift)); };
  Isa::Floats sum = Isa::broadcast(0.0f);
  for (i = 0; i < last; i += 16) {
    const Isa::Floats weights = weight(i);
    Isa::store(scores + i, weights);
    sum = Isa::add(sum, weights);
  }
  Isa::store(scores + last, weight(last));
  for (i = n; i < end; ++i) scores[i] = 0.0f;
  return Isa::sum(Isa::add(sum, Isa::load(scores + last)));
}

}  // namespace
}  // namespace gpt2edge::kernels
