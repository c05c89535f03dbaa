#include "generate/drafting/model_drafter.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace gpt2edge {
namespace {

// Whether tokens are left. Not where the constraint fails: a text that gets there is told so.
bool leave_allowed(Logits& logits, AllowedLogits& allowed, size_t n_drafted) {
  try {
    return allowed.leave(logits, n_drafted);
  } catch (const std::exception&) {
    return false;
  }
}

// None where every token is banned: after the model's own token some may be allowed.
std::optional<int32_t> drafted_token(Sampler& sampler, Logits logits, AllowedLogits* allowed,
                                     size_t n_drafted) {
  if (allowed != nullptr && !leave_allowed(logits, *allowed, n_drafted)) return std::nullopt;
  try {
    return sampler.sample(logits);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<int32_t> ModelDrafter::draft(std::span<const int32_t> text, int n,
                                         const Sampler& sampler, AllowedLogits* allowed,
                                         const Interrupt& interrupt) {
  rollback_rejected(text);
  const auto n_text = static_cast<int64_t>(text.size());
  // The draft model's context may be shorter, and full.
  if (!window_.has_room(n_text - window_.length())) return {};
  if (allowed != nullptr) allowed->begin({});
  window_.append(text, 1, interrupt);
  text_.insert(text_.end(), text.begin() + static_cast<std::ptrdiff_t>(text_.size()), text.end());

  Sampler own = sampler.for_drafts();  // the same random numbers, on the draft model's logits
  const auto most = static_cast<size_t>(std::min<int64_t>(n, window_.max_rollback(0) + 1));
  std::vector<int32_t> drafted;
  while (drafted.size() < most) {
    if (!drafted.empty()) {
      if (allowed != nullptr) allowed->begin(drafted);
      window_.append(text_, 1, interrupt);
      ++n_drafted_;
    }
    const std::optional<int32_t> token =
        drafted_token(own, window_.logits_after(window_.length()), allowed, drafted.size());
    if (!token || (allowed != nullptr && allowed->is_end(*token))) break;
    drafted.push_back(*token);
    own.accept(drafted.back());
    text_.push_back(drafted.back());
  }
  return drafted;
}

void ModelDrafter::rollback_rejected(std::span<const int32_t> text) {
  const auto n_confirmed = static_cast<size_t>(window_.length() - n_drafted_);
  // The logits after the text's last token are needed: it is computed again.
  const auto end = static_cast<size_t>(std::min(window_.length(), int64_t(text.size()) - 1));
  size_t right = n_confirmed;
  while (right < end && text_[right] == text[right]) ++right;
  window_.rollback(window_.length() - static_cast<int64_t>(right));
  text_.resize(right);
  n_drafted_ = 0;
}

}  // namespace gpt2edge
