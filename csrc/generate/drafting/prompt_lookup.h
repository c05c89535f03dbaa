// Drafts that the text goes on as it did where its last few tokens stood before.
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
                             const Interrupt& interrupt) override;

 private:
  // Tokens that must be the same.
  static constexpr size_t kLongest = 4, kShortest = 2;

  using Run = std::array<int32_t, kLongest>;  // of tokens, padded with -1
  struct Hash {
    size_t operator()(const Run& run) const;
  };
  static Run run(std::span<const int32_t> tokens);
  std::optional<size_t> last_place(std::span<const int32_t> text) const;
  void note_all_but_the_end(std::span<const int32_t> text);

  size_t n_noted_ = 0;                          // tokens of the text that are known
  std::unordered_map<Run, size_t, Hash> ends_;  // where each run of tokens last ended
};

}  // namespace gpt2edge
