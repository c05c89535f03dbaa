#include "generate/sampling/masking.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "generate/sampling/candidates.h"

namespace gpt2edge {

bool mask_logits(std::span<const float> logits, std::span<const uint32_t> mask,
                 std::vector<float>& out) {
  constexpr size_t kBits = 32;
  out.resize(logits.size());
  const size_t n_whole = std::min(logits.size() / kBits, mask.size());
  bool any = false;
  for (size_t i = 0; i < n_whole; ++i) {
    const float* from = &logits[kBits * i];
    float* to = &out[kBits * i];
    any |= mask[i] != 0;
    if (mask[i] == ~uint32_t{0}) {  // common where nearly any text may come
      std::copy_n(from, kBits, to);
      continue;
    }
    std::fill_n(to, kBits, kBanned);
    for (uint32_t rest = mask[i]; rest != 0; rest &= rest - 1) {
      const int bit = std::countr_zero(rest);
      to[bit] = from[bit];
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
