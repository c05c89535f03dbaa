#include "generate/distribution.h"

#include <span>

#include "generate/exponentials.h"

namespace gpt2edge {

Distribution Distribution::of_logits(const Logits& logits) {
  Distribution made{std::vector<float>(logits.all.size())};
  const double max = max_logit(logits);
  for_each_block_of_exponentials(logits.all, max,
                                 [&](size_t first, std::span<const double> weights) {
                                   for (size_t i = 0; i < weights.size(); ++i) {
                                     made.weights[first + i] = static_cast<float>(weights[i]);
                                   }
                                 });
  for (const float weight : made.weights) made.total += double{weight};
  return made;
}

}  // namespace gpt2edge
