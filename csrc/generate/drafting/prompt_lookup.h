// Drafts the tokens that followed the last occurrence of the text's final n-gram.
// Source: Saxena, "Prompt Lookup Decoding", 2023.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "generate/drafting/drafter.h"

namespace gpt2edge {

class PromptLookup : public Drafter {
 public:
  std::vector<int32_t> draft(std::span<const int32_t> text, int n, const Sampler& sampler,
                             AllowedLogits* allowed, const Interrupt& interrupt) override;

 private:
  // Lengths of the n-grams to look up, the longest first.
  static constexpr size_t kMaxNgram = 4, kMinNgram = 2;

  using Ngram = std::array<int32_t, kMaxNgram>;  // of tokens, padded with -1
  struct Hash {
    size_t operator()(const Ngram& ngram) const;
  };
  static Ngram ngram(std::span<const int32_t> tokens);
  std::optional<size_t> last_match(std::span<const int32_t> text) const;
  void index_ngrams(std::span<const int32_t> text);

  size_t n_indexed_ = 0;                                // tokens of the text that are known
  std::unordered_map<Ngram, size_t, Hash> ngram_ends_;  // where each ngram of tokens last ended
};

}  // namespace gpt2edge
