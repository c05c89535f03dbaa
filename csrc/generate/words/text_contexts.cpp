#include "generate/words/text_contexts.h"

#include <algorithm>
#include <utility>

namespace gpt2edge {
namespace {

constexpr size_t kRoom = 64;  // tokens of the context that are left to the word
constexpr size_t kPrefetchTokens =
    16;  // tokens of the next context that a call computes in advance

// What a sequence has yet to be given, once it has forgotten what else it has.
TextContexts::Tokens missing_of(Sequence& sequence, TextContexts::Tokens tokens, bool with_logits) {
  const auto& present = sequence.tokens();
  const auto differ =
      std::mismatch(present.begin(), present.end(), tokens.begin(), tokens.end()).first;
  auto n = static_cast<size_t>(differ - present.begin());
  if (with_logits && n == tokens.size()) --n;
  sequence.truncate(static_cast<int>(n));
  return tokens.subspan(n);
}

}  // namespace

TextContexts::TextContexts(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type)
    : model_(std::move(model)),
      n_ctx_(Sequence(model_, n_ctx, cache_type).n_ctx()),  // refuses one out of range
      cache_type_(cache_type),
      room_(std::min(kRoom, static_cast<size_t>(n_ctx_) / 2)),
      most_(static_cast<size_t>(n_ctx_) - room_),
      step_(std::max<size_t>(1, most_ / 2)) {}

size_t TextContexts::start_of_view(size_t n_tokens) const {
  if (n_tokens <= most_) return 0;
  return (n_tokens - most_ + step_ - 1) / step_ * step_;
}

void TextContexts::keep_sequences(size_t start, size_t next_start) {
  if (!sequences_.contains(start)) forks_.clear();
  std::erase_if(sequences_, [=](const auto& entry) {
    return entry.first != start && entry.first != next_start;
  });
  for (const size_t first : {start, next_start}) {
    auto& sequence = sequences_[first];
    if (sequence == nullptr) sequence = std::make_unique<Sequence>(model_, n_ctx_, cache_type_);
  }
}

Sequence& TextContexts::sequence(Tokens text, bool with_logits, const Interrupt& interrupt) {
  const size_t start = start_of_view(text.size()), next_start = start + step_;
  keep_sequences(start, next_start);
  Sequence &sequence = *sequences_[start], &following = *sequences_[next_start];
  const Tokens missing = missing_of(sequence, text.subspan(start), with_logits);
  if (missing.empty()) return sequence;
  const Tokens after = text.subspan(std::min(next_start, text.size()));
  const Tokens in_advance = missing_of(following, after, false);
  forks_.clear();
  const Sequence::Part parts[] = {
      {&sequence, missing},
      {&following, in_advance.first(std::min(kPrefetchTokens, in_advance.size()))}};
  Sequence::append(parts, interrupt);
  return sequence;
}

std::vector<Sequence*> TextContexts::forks(Tokens text, size_t n, const Interrupt& interrupt) {
  Sequence& present = sequence(text, false, interrupt);
  while (forks_.size() < n) forks_.push_back(present.fork());
  std::vector<Sequence*> chosen;
  for (size_t i = 0; i < n; ++i) {
    forks_[i]->truncate(present.length());
    chosen.push_back(forks_[i].get());
  }
  return chosen;
}

void TextContexts::clear() {
  sequences_.clear();
  forks_.clear();
}

}  // namespace gpt2edge
