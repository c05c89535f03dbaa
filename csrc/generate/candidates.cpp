#include "generate/candidates.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <limits>
#include <stdexcept>

#include "base/error.h"

namespace gpt2edge {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

// Logits looked at together. Compilers turn loops of this fixed length into vector code.
constexpr size_t kBlock = 32;

[[noreturn]] void refuse(std::span<const float> logits) {
  const auto bad =
      std::find_if(logits.begin(), logits.end(), [](float x) { return !(x <= FLT_MAX); });
  throw std::runtime_error(message("the logit of token ", bad - logits.begin(), " is ", *bad,
                                   ", expected a number: the model's weights are damaged"));
}

bool any_above(const float* logits, float threshold) {
  int found = 0;
  for (size_t i = 0; i < kBlock; ++i) found |= static_cast<int>(logits[i] > threshold);
  return found != 0;
}

}  // namespace

float max_logit(std::span<const float> logits) {
  if (logits.empty()) throw std::invalid_argument("there are no logits to sample from");
  std::array<float, kBlock> max;
  max.fill(kBanned);
  std::array<int, kBlock> sound;
  sound.fill(1);
  const size_t whole = logits.size() - logits.size() % kBlock;
  for (size_t i = 0; i < whole; i += kBlock) {
    for (size_t j = 0; j < kBlock; ++j) {
      const float x = logits[i + j];
      max[j] = x > max[j] ? x : max[j];
      sound[j] &= static_cast<int>(x <= FLT_MAX);  // false for NaN too
    }
  }
  for (size_t i = whole; i < logits.size(); ++i) {
    max[0] = std::max(max[0], logits[i]);
    sound[0] &= static_cast<int>(logits[i] <= FLT_MAX);
  }
  if (std::find(sound.begin(), sound.end(), 0) != sound.end()) refuse(logits);
  const float result = *std::max_element(max.begin(), max.end());
  if (result == kBanned) {
    throw std::invalid_argument(
        "every token is banned: no logit is above -infinity; allow a token");
  }
  return result;
}

int32_t first_token_with(std::span<const float> logits, float value) {
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), value) - logits.begin());
}

// Keeps everything above a threshold, and raises the threshold to the count-th best whenever the
// buffer has filled up: most blocks are then passed over after one comparison of their logits, and
// the work is linear whatever the order of the logits.
void select_best(std::span<const float> logits, size_t count, std::vector<Candidate>& best) {
  const size_t n = logits.size();
  count = std::min(count, n);
  const size_t full = count + std::max(count, kBlock);
  best.clear();
  best.reserve(std::min(full, n) + kBlock);
  float threshold = kBanned;
  const auto shrink = [&] {
    const auto last = best.begin() + static_cast<std::ptrdiff_t>(count) - 1;
    std::nth_element(best.begin(), last, best.end(), ranks_before);
    threshold = last->logit;
    best.resize(count);
  };
  // Ids ascend, so a later logit that only equals the threshold has already lost the tie.
  for (size_t i = 0; i < n; i += kBlock) {
    if (n - i >= kBlock && !any_above(&logits[i], threshold)) continue;
    for (size_t j = i; j < std::min(n, i + kBlock); ++j) {
      if (logits[j] > threshold) best.push_back({logits[j], static_cast<int32_t>(j)});
    }
    if (best.size() >= full) shrink();
  }
  if (best.size() > count) shrink();
  std::sort(best.begin(), best.end(), ranks_before);
}

}  // namespace gpt2edge
