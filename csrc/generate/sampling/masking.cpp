#include "generate/sampling/masking.h"

#include <bit>
#include <cstddef>
#include <limits>

namespace gpt2edge {

bool mask_logits(std::span<const float> logits, std::span<const uint32_t> mask,
                 std::vector<float>& out) {
  constexpr size_t kBits = 32;
  out.assign(logits.size(), -std::numeric_limits<float>::infinity());
  bool any = false;
  for (size_t i = 0; i < mask.size(); ++i) {
    for (uint32_t rest = mask[i]; rest != 0; rest &= rest - 1) {
      const size_t token = i * kBits + static_cast<size_t>(std::countr_zero(rest));
      if (token >= logits.size()) break;
      out[token] = logits[token];
      any = true;
    }
  }
  return any;
}

}  // namespace gpt2edge
