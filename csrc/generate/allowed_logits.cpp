#include "generate/allowed_logits.h"

#include "generate/sampling/masking.h"

namespace gpt2edge {

bool AllowedLogits::leave(Logits& logits, size_t n) {
  const TokenMask* mask = constraint_->mask(n);
  if (mask == nullptr) return false;
  TokenMask allowed = *mask;
  const bool may_end = end_ && allows(allowed, *end_);
  if (may_end) allowed[static_cast<size_t>(*end_) / 32] &= ~(uint32_t{1} << (*end_ % 32));
  if (!mask_logits(logits.all, allowed, left_)) return false;
  if (may_end && !ignores_end_) {
    const auto end = static_cast<size_t>(*end_);
    left_[end] = logits.all[end];
  }
  logits = {left_};
  return true;
}

}  // namespace gpt2edge
