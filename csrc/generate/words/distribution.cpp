#include "generate/words/distribution.h"

#include <algorithm>

#include "generate/sampling/portable_math.h"

namespace gpt2edge {
namespace {

// e^(logit - max). In two loops, so that compilers make several at once. What is below e^-87 may as
// well be that: one weight is 1.
void exponentials(const float* logits, float max, std::span<float> out) {
  float* weights = out.data();
  const size_t n = out.size();
  for (size_t i = 0; i < n; ++i) weights[i] = std::max(logits[i] - max, -87.0F);
  for (size_t i = 0; i < n; ++i) weights[i] = portable_exp_float_in_range(weights[i]);
}

}  // namespace

Distribution::Distribution(const Logits& logits)
    : weights_(std::make_unique_for_overwrite<float[]>(logits.all.size())) {
  const std::span weights(weights_.get(), logits.all.size());
  exponentials(logits.all.data(), max_logit(logits), weights);
  total_ = sum_of(weights);
}

// Several sums at once: each addition waits for the one before it.
double sum_of(std::span<const float> numbers) {
  constexpr size_t kSums = 8;
  double sums[kSums] = {};
  const size_t whole = numbers.size() - numbers.size() % kSums;
  for (size_t i = 0; i < whole; i += kSums) {
    for (size_t j = 0; j < kSums; ++j) sums[j] += double{numbers[i + j]};
  }
  for (size_t i = whole; i < numbers.size(); ++i) sums[i - whole] += double{numbers[i]};
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace gpt2edge
