#include "generate/drafting/prompt_lookup.h"

#include <algorithm>

namespace gpt2edge {

size_t PromptLookup::Hash::operator()(const Ngram& ngram) const {
  uint64_t hash = 0;
  for (const int32_t token : ngram) {
    hash = (hash ^ static_cast<uint32_t>(token)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return static_cast<size_t>(hash);
}

PromptLookup::Ngram PromptLookup::ngram(std::span<const int32_t> tokens) {
  Ngram ngram;
  ngram.fill(-1);
  std::copy(tokens.begin(), tokens.end(), ngram.begin());
  return ngram;
}

std::vector<int32_t> PromptLookup::draft(std::span<const int32_t> text, int n, const Sampler&,
                                         AllowedLogits*, const Interrupt&) {
  index_ngrams(text);
  std::vector<int32_t> drafted;
  const auto match = last_match(text);
  if (!match) return drafted;
  // Past the end of the text the draft continues with its own tokens: a repetition goes on.
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const size_t from = *match + i;
    drafted.push_back(from < text.size() ? text[from] : drafted[from - text.size()]);
  }
  return drafted;
}

// The position after the last earlier occurrence of the text's final n-gram.
std::optional<size_t> PromptLookup::last_match(std::span<const int32_t> text) const {
  for (size_t length = std::min(kMaxNgram, text.size()); length >= kMinNgram; --length) {
    const auto found = ngram_ends_.find(ngram(text.last(length)));
    if (found != ngram_ends_.end()) return found->second;
  }
  return std::nullopt;
}

void PromptLookup::index_ngrams(std::span<const int32_t> text) {
  for (size_t end = n_indexed_ + 1; end < text.size(); ++end) {
    for (size_t length = kMinNgram; length <= std::min(kMaxNgram, end); ++length) {
      ngram_ends_[ngram(text.first(end).last(length))] = end;
    }
  }
  n_indexed_ = std::max(n_indexed_, text.size() - 1);
}

}  // namespace gpt2edge
