// What of a Text its constraint decides: tokens that must come, and tokens that may.
#include <utility>

#include "generate/text.h"

namespace gpt2edge {

// Before the first pass: the tokens that the text must begin with are computed with the prompt.
void Text::start_constraint() {
  if (constraint_ == nullptr || is_constraint_started_ || has_all_tokens()) return;
  is_constraint_started_ = true;
  attempt([this] {
    window_.check(text_);  // for a text that is complete without a pass, too
    add_forced(constraint_->start());
  });
}

void Text::drop_disallowed(std::vector<int32_t>& drafted) {
  if (constraint_ == nullptr || drafted.empty()) return;
  attempt([&] { drafted.resize(constraint_->count_allowed(drafted)); });
}

// Before the pass that gives the logits after the text and after each of the draft tokens.
void Text::begin_masks(std::span<const int32_t> draft) {
  if (constraint_ == nullptr || has_all_tokens()) return;
  attempt([&] { allowed_->begin(draft); });
}

// Whether a token writes only what the prompt has, and is therefore made a part of it.
bool Text::repeats_prompt(int32_t token) {
  const size_t n_bytes = token_bytes(*vocabulary_, token).size();
  if (n_repeated_ == 0 || n_bytes > n_repeated_) return false;
  n_repeated_ -= n_bytes;
  text_.push_back(token);
  ++n_prompt_;
  sampler_.accept_prompt(token);
  return true;
}

// Tokens that follow whatever the model says. A random number counts as used for each, so that the
// number of a token's draw is its place in the text.
void Text::add_forced(const Constraint::Forced& forced) {
  for (size_t i = 0; i < forced.tokens.size() && !is_over(); ++i) {
    const int32_t token = forced.tokens[i];
    std::optional<TopLogprobs> certain;
    if (options_.logprobs > 0) certain = TopLogprobs{0, {{token, 0}}};
    sampler_.set_draw_index(sampler_.draw_index() + 1);
    add_token(token, std::move(certain), forced.is_complete && i + 1 == forced.tokens.size());
  }
  if (forced.is_complete && !is_over()) finish(FinishReason::kStop);
}

}  // namespace gpt2edge
