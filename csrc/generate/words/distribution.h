// The probability distribution of the next token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "generate/sampling/candidates.h"

namespace gpt2edge {

class Distribution {
 public:
  // Throws what max_logit does.
  explicit Distribution(const Logits& logits);

  // Proportional to the probability of a token.
  float weight(int32_t token) const { return weights_[static_cast<size_t>(token)]; }
  // The weights of all tokens together.
  double total() const { return total_; }
  double probability(int32_t token) const { return double{weight(token)} / total_; }

 private:
  std::unique_ptr<float[]> weights_;
  double total_;
};

// In an order that does not depend on the machine.
double sum_of(std::span<const float> numbers);

}  // namespace gpt2edge
