#include "generate/sampling/penalties.h"

#include <utility>

namespace gpt2edge {

Penalties::Penalties(const SamplerOptions& options)
    : repetition_(options.repetition_penalty),
      frequency_(options.frequency_penalty),
      presence_(options.presence_penalty),
      last_n_(options.penalty_last_n) {
  if (repetition_ == 1 && frequency_ == 0 && presence_ == 0) last_n_ = 0;
}

void Penalties::accept(int32_t token, bool is_generated) {
  if (last_n_ == 0) return;
  Counts& counts = counts_[token];
  ++counts.total;
  if (is_generated) ++counts.generated;
  if (last_n_ < 0) return;
  const auto size = static_cast<size_t>(last_n_);
  if (window_.size() < size) {
    window_.push_back({token, is_generated});
    return;
  }
  remove(std::exchange(window_[window_next_], {token, is_generated}));
  window_next_ = (window_next_ + 1) % size;
}

void Penalties::remove(const Entry& entry) {
  const auto found = counts_.find(entry.token);
  if (entry.is_generated) --found->second.generated;
  if (--found->second.total == 0) counts_.erase(found);
}

void Penalties::clear() {
  counts_.clear();
  window_.clear();
  window_next_ = 0;
}

// The repetition penalty applies once to a token, however often it occurs.
// Source: Keskar et al., "CTRL", 2019, section 4.1, in Hugging Face's form. The other two are those
// of OpenAI's API, which count generated tokens and not the prompt.
void Penalties::apply(const LogitRow& row) const {
  const bool counts_generated = frequency_ != 0 || presence_ != 0;
  for (const auto& [token, counts] : counts_) {
    float& logit = row.at(token, kInText);
    if (!std::isfinite(logit)) continue;
    if (repetition_ != 1) logit = to_logit(logit > 0 ? logit / repetition_ : logit * repetition_);
    if (counts_generated && counts.generated > 0) {
      subtract(logit, static_cast<double>(counts.generated) * frequency_ + presence_);
    }
  }
}

}  // namespace gpt2edge
