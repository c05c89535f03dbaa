#include "generate/sampling/logprobs.h"

#include <stdexcept>

#include "base/error.h"
#include "generate/sampling/candidates.h"
#include "generate/sampling/portable_math.h"
#include "generate/sampling/weights.h"

namespace gpt2edge {

TopLogprobs log_softmax_top(std::span<const float> logits, int32_t chosen, int n_top) {
  if (chosen < 0 || static_cast<size_t>(chosen) >= logits.size()) {
    throw std::out_of_range(
        message("token ", chosen, " is not in the vocabulary of ", logits.size(), " tokens"));
  }
  if (n_top < 0) throw std::invalid_argument(message("n_top is ", n_top, ", expected 0 or more"));

  const double max = max_logit({logits});
  double sum = 0;
  for_each_weight(logits, max, 1.0, [&](double weight, double) { sum += weight; });
  const double log_sum = max + portable_log(sum);
  const auto logprob = [&](float logit) { return static_cast<float>(logit - log_sum); };

  TopLogprobs result{logprob(logits[static_cast<size_t>(chosen)]), {}};
  if (n_top == 0) return result;
  std::vector<Candidate> best;
  select_best({logits}, static_cast<size_t>(n_top), best);
  result.top.reserve(best.size());
  for (const Candidate& c : best) result.top.push_back({c.token, logprob(c.logit)});
  return result;
}

}  // namespace gpt2edge
