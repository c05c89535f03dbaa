#include "generate/sampling/candidates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "base/error.h"

namespace gpt2edge {
namespace {

// Logits of one loop: compilers vectorize loops of this fixed length.
constexpr size_t kBlock = kMaximaBlock;

[[noreturn]] void refuse(std::span<const float> logits) {
  const auto bad =
      std::find_if(logits.begin(), logits.end(), [](float x) { return !(x <= kLargestFloat); });
  throw FormatError(message("the logit of token ", bad - logits.begin(), " is ", *bad,
                            ", expected a number: the model's weights are damaged"));
}

// Whether one of the logits from `first` on, a whole block, is above a threshold.
bool any_above(const Logits& logits, size_t first, float threshold) {
  if (!logits.maxima.empty()) return !(logits.maxima[first / kBlock] <= threshold);
  int found = 0;
  for (size_t i = first; i < first + kBlock; ++i) {
    found |= static_cast<int>(logits.all[i] > threshold);
  }
  return found != 0;
}

float max_of_all(std::span<const float> logits) {
  std::array<float, kBlock> max;
  max.fill(kBanned);
  std::array<int, kBlock> sound;
  sound.fill(1);
  const size_t whole = logits.size() - logits.size() % kBlock;
  for (size_t i = 0; i < whole; i += kBlock) {
    for (size_t j = 0; j < kBlock; ++j) {
      const float x = logits[i + j];
      max[j] = x > max[j] ? x : max[j];
      sound[j] &= static_cast<int>(x <= kLargestFloat);  // false for NaN too
    }
  }
  for (size_t i = whole; i < logits.size(); ++i) {
    max[0] = std::max(max[0], logits[i]);
    sound[0] &= static_cast<int>(logits[i] <= kLargestFloat);
  }
  if (std::find(sound.begin(), sound.end(), 0) != sound.end()) refuse(logits);
  return *std::max_element(max.begin(), max.end());
}

// By the whole blocks' maxima and the logits after them; NaN when a logit is not finite.
float max_by_blocks(const Logits& logits) {
  const size_t whole = logits.all.size() / kBlock;
  float max = kBanned, zero = 0;
  const auto take = [&](float x) {
    max = std::max(max, x);
    zero += x - x;
  };
  for (size_t i = 0; i < whole; ++i) take(logits.maxima[i]);
  for (size_t i = whole * kBlock; i < logits.all.size(); ++i) take(logits.all[i]);
  return max + zero;
}

}  // namespace

float max_logit(const Logits& logits) {
  if (logits.all.empty()) throw std::invalid_argument("there are no logits to sample from");
  const float quick = logits.maxima.empty() ? NAN : max_by_blocks(logits);
  const float result = std::isnan(quick) ? max_of_all(logits.all) : quick;
  if (result == kBanned) {
    throw std::invalid_argument(
        "every token is banned: no logit is above -infinity; allow a token");
  }
  return result;
}

int32_t first_token_with(const Logits& logits, float value) {
  size_t first = 0;
  if (!logits.maxima.empty()) {
    while (logits.maxima[first / kBlock] < value) first += kBlock;
  }
  const auto begin = logits.all.begin();
  const auto from = begin + static_cast<std::ptrdiff_t>(first);
  return static_cast<int32_t>(std::find(from, logits.all.end(), value) - begin);
}

// Keeps everything above a threshold, and raises the threshold to the count-th best whenever the
// buffer is full: most blocks are then skipped after one comparison, and the time is linear for any
// order of the logits.
void select_best(const Logits& logits, size_t count, std::vector<Candidate>& best, float above) {
  const size_t n = logits.all.size();
  count = std::min(count, n);
  const size_t full = count + std::max(count, kBlock);
  best.clear();
  best.reserve(std::min(full, n) + kBlock);
  float threshold = above;
  const auto shrink = [&] {
    const auto last = best.begin() + static_cast<std::ptrdiff_t>(count) - 1;
    std::nth_element(best.begin(), last, best.end(), ranks_before);
    threshold = last->logit;
    best.resize(count);
  };
  // Ids ascend, so a later logit that only equals the threshold has already lost the tie.
  for (size_t i = 0; i < n; i += kBlock) {
    if (n - i >= kBlock && !any_above(logits, i, threshold)) continue;
    for (size_t j = i; j < std::min(n, i + kBlock); ++j) {
      const float logit = logits.all[j];
      if (logit > threshold) best.push_back({logit, static_cast<int32_t>(j)});
    }
    if (best.size() >= full) shrink();
  }
  if (best.size() > count) shrink();
  std::sort(best.begin(), best.end(), ranks_before);
}

}  // namespace gpt2edge
