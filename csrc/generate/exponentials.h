// e^(logit - max) of a vocabulary of logits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "generate/portable_math.h"

namespace gpt2edge {

// Calls take(first, weights) for a block of weights after the other, those of the logits from
// `first` on. They are made a block at a time so that the compiler can make several at once. What
// is below e^-700 may as well be that: one weight is 1.
template <typename Take>
void for_each_block_of_exponentials(std::span<const float> logits, double max, const Take& take) {
  constexpr size_t kBlock = 64;
  double weights[kBlock];
  for (size_t first = 0; first < logits.size(); first += kBlock) {
    const auto block = logits.subspan(first, std::min(kBlock, logits.size() - first));
    for (size_t i = 0; i < block.size(); ++i) weights[i] = std::max(block[i] - max, -700.0);
    for (size_t i = 0; i < block.size(); ++i) weights[i] = portable_exp_in_range(weights[i]);
    take(first, std::span<const double>(weights, block.size()));
  }
}

}  // namespace gpt2edge
