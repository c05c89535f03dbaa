// Logits that may be changed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>

#include "base/error.h"
#include "generate/sampling/candidates.h"

namespace gpt2edge {

class LogitRow {
 public:
  explicit LogitRow(std::span<float> logits) : logits_(logits) {}

  // Throws std::invalid_argument for a token that is not in the vocabulary: "`origin` token 7".
  float& at(int32_t token, const char* origin) const {
    if (static_cast<size_t>(token) >= logits_.size()) {
      throw std::invalid_argument(message(
          origin, " token ", token, ", but the vocabulary has only ", logits_.size(), " tokens"));
    }
    return logits_[static_cast<size_t>(token)];
  }

  void ban(int32_t token, const char* origin) const {
    at(token, origin) = -std::numeric_limits<float>::infinity();
  }

 private:
  std::span<float> logits_;
};

// For LogitRow's messages about tokens of the text.
inline constexpr const char* kInText = "the text contains";

// An adjusted logit stays finite unless it was not: only the user bans a token.
inline float to_logit(double x) {
  return static_cast<float>(std::clamp<double>(x, -kLargestFloat, kLargestFloat));
}

inline void subtract(float& logit, double penalty) {
  if (std::isfinite(logit)) logit = to_logit(double{logit} - penalty);
}

}  // namespace gpt2edge
