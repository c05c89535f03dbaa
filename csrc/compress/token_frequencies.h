// The logits after a token as whole numbers: how often, of how many, each token comes next.
//
// The frequency of a token is 1 + floor(2^30 e^(logit - greatest logit)), with the same exponential
// on floats that is the same to the bit on every processor (portable_math.h); the total is their
// sum. No token has none, so that every text has a code; those that the model thinks impossible
// take a 2^-14th of the probability together at the most, with GPT-2's vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compress/range_coder.h"

namespace gpt2edge {

// The most tokens of a vocabulary: their total fits the coder.
constexpr int kMostCodedTokens = 1 << 21;

class TokenFrequencies {
 public:
  // The logits, of which none is NaN and `greatest` is the greatest and finite, are borrowed.
  TokenFrequencies(std::span<const float> logits, float greatest);

  uint64_t total() const { return total_; }
  FrequencyInterval of(int32_t token) const;
  struct Found {
    int32_t token;
    FrequencyInterval interval;
  };
  // The token in whose interval `place` lies, which is below the total.
  Found at(uint64_t place) const;

 private:
  std::span<const float> block(size_t index) const;

  std::span<const float> logits_;
  float greatest_;
  std::vector<uint64_t> block_sums_;
  uint64_t total_ = 0;
};

}  // namespace gpt2edge
