// The weights of a vocabulary's logits: e^((logit - max) / temperature), proportional to the
// probabilities of its tokens.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "generate/sampling/portable_math.h"

namespace gpt2edge {

constexpr double kLeastExponent = -700;

// Calls visit(weight, exponent) for each logit, in order, with exponent = (logit - max) * scale. In
// blocks, so that compilers vectorize the exponentials. Smaller exponents become kLeastExponent: a
// sum that has the weight 1 of the greatest logit loses such weights to rounding in any case.
template <typename Visit>
void for_each_weight(std::span<const float> logits, double max, double scale, Visit visit) {
  constexpr size_t kTogether = 64;
  double exponents[kTogether], weights[kTogether];
  for (size_t first = 0; first < logits.size(); first += kTogether) {
    const auto block = logits.subspan(first, std::min(kTogether, logits.size() - first));
    for (size_t i = 0; i < block.size(); ++i) {
      exponents[i] = std::max((block[i] - max) * scale, kLeastExponent);
    }
    for (size_t i = 0; i < block.size(); ++i) weights[i] = portable_exp_in_range(exponents[i]);
    for (size_t i = 0; i < block.size(); ++i) visit(weights[i], exponents[i]);
  }
}

}  // namespace gpt2edge
