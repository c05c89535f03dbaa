// Random numbers that are the same on every machine, which the distributions of the standard
// library are not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace gpt2edge::test {

class Random {
 public:
  explicit Random(uint32_t seed) : bits_(seed) {}
  int below(int n) { return static_cast<int>(bits_() % static_cast<uint32_t>(n)); }
  int between(int first, int last) { return first + below(last - first + 1); }
  // In [-1, 1).
  float uniform() { return static_cast<float>(bits_() >> 8) / 8388608.0f - 1.0f; }
  float uniform(float low, float high) { return low + (high - low) * (0.5f + 0.5f * uniform()); }
  template <typename T>
  const T& one_of(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(below(static_cast<int>(choices.size())))];
  }
  std::vector<int32_t> tokens(int n, int n_vocab) {
    std::vector<int32_t> tokens(static_cast<size_t>(n));
    for (int32_t& token : tokens) token = below(n_vocab);
    return tokens;
  }

 private:
  std::mt19937 bits_;
};

}  // namespace gpt2edge::test
