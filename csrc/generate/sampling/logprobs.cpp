#include "generate/sampling/logprobs.h"

#include <algorithm>
#include <stdexcept>

#include "base/error.h"
#include "generate/sampling/candidates.h"
#include "generate/sampling/portable_math.h"

namespace gpt2edge {
namespace {

// The sum of e^(logit - max), in order. The exponentials are made a block at a time, so that the
// compiler can make several at once. What is below e^-700 may as well be that: one term is 1.
double sum_of_weights(std::span<const float> logits, double max) {
  constexpr size_t kBlock = 64;
  double weights[kBlock];
  double sum = 0;
  for (size_t first = 0; first < logits.size(); first += kBlock) {
    const auto block = logits.subspan(first, std::min(kBlock, logits.size() - first));
    for (size_t i = 0; i < block.size(); ++i) weights[i] = std::max(block[i] - max, -700.0);
    for (size_t i = 0; i < block.size(); ++i) weights[i] = portable_exp_in_range(weights[i]);
    for (size_t i = 0; i < block.size(); ++i) sum += weights[i];
  }
  return sum;
}

}  // namespace

TopLogprobs log_softmax_top(std::span<const float> logits, int32_t chosen, int n_top) {
  if (chosen < 0 || static_cast<size_t>(chosen) >= logits.size()) {
    throw std::out_of_range(
        message("token ", chosen, " is not in the vocabulary of ", logits.size(), " tokens"));
  }
  if (n_top < 0) throw std::invalid_argument(message("n_top is ", n_top, ", expected 0 or more"));

  const double max = max_logit({logits});
  const double log_sum = max + portable_log(sum_of_weights(logits, max));
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
