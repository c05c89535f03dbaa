// How probable each token is as what comes next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "generate/candidates.h"

namespace gpt2edge {

struct Distribution {
  std::vector<float> weights;  // by token: the probabilities, but for a factor
  double total = 0;            // the sum of all

  // Throws what max_logit does.
  static Distribution of_logits(const Logits& logits);

  double weight(int32_t token) const { return double{weights[static_cast<size_t>(token)]}; }
  double probability(int32_t token) const { return weight(token) / total; }
};

}  // namespace gpt2edge
