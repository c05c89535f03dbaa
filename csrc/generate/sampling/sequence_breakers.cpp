#include "generate/sampling/sequence_breakers.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace gpt2edge {

SequenceBreakers::SequenceBreakers(std::vector<std::string> breakers,
                                   std::shared_ptr<const TokenizerTables> vocabulary)
    : breakers_(std::move(breakers)), vocabulary_(std::move(vocabulary)) {
  if (!breakers_.empty() && vocabulary_ == nullptr) {
    throw std::invalid_argument(
        "dry_sequence_breakers are texts, and the sampler does not know the texts of tokens: give "
        "it a tokenizer's tables, or no breakers");
  }
  for (const std::string& breaker : breakers_) longest_ = std::max(longest_, breaker.size());
}

void SequenceBreakers::accept(int32_t token) {
  ++n_since_;
  if (breakers_.empty()) return;
  const size_t n_before = end_.size();
  end_ += bytes_of(token);
  for (const std::string& breaker : breakers_) {
    // One that was there before the token has been noted.
    const size_t first = n_before - std::min(n_before, breaker.size() - 1);
    if (end_.find(breaker, first) != std::string::npos) n_since_ = 0;
  }
  end_.erase(0, end_.size() - std::min(end_.size(), longest_ - 1));
}

void SequenceBreakers::clear() {
  end_.clear();
  n_since_ = 0;
}

bool SequenceBreakers::is_in(int32_t token) const {
  return std::any_of(breakers_.begin(), breakers_.end(), [&](const std::string& breaker) {
    return bytes_of(token).find(breaker) != std::string_view::npos;
  });
}

std::string_view SequenceBreakers::bytes_of(int32_t token) const {
  const auto& all = vocabulary_->token_bytes;
  return static_cast<size_t>(token) < all.size() ? all[static_cast<size_t>(token)]
                                                 : std::string_view();
}

}  // namespace gpt2edge
