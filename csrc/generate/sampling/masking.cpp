#include "generate/sampling/masking.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "generate/sampling/candidates.h"

namespace gpt2edge {
namespace {

constexpr size_t kBits = 32;

constexpr std::array<uint32_t, kBits> kBit = [] {
  std::array<uint32_t, kBits> bits{};
  for (size_t i = 0; i < kBits; ++i) bits[i] = uint32_t{1} << i;
  return bits;
}();

}  // namespace

bool mask_logits(std::span<const float> logits, std::span<const uint32_t> mask,
                 std::vector<float>& out) {
  out.resize(logits.size());
  const size_t n_whole = std::min(logits.size() / kBits, mask.size());
  bool any = false;
  for (size_t i = 0; i < n_whole; ++i) {
    const float* from = &logits[kBits * i];
    float* to = &out[kBits * i];
    const uint32_t allowed = mask[i];
    any |= allowed != 0;
    for (size_t bit = 0; bit < kBits; ++bit) {  // without branches, so that it is vectorized
      const float logit = from[bit];
      to[bit] = (allowed & kBit[bit]) != 0 ? logit : kBanned;
    }
  }
  for (size_t token = kBits * n_whole; token < logits.size(); ++token) {
    const bool allowed = token / kBits < mask.size() && (mask[token / kBits] >> token % kBits & 1);
    out[token] = allowed ? logits[token] : kBanned;
    any |= allowed;
  }
  return any;
}

}  // namespace gpt2edge
