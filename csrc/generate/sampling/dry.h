// "Don't repeat yourself": a penalty for the token that would make a repetition longer, which grows
// exponentially with the repetition's length.
//
// Source: p-e-w's DRY for text-generation-webui (2024), as llama.cpp defines its options. One thing
// is more general here: a sequence breaker is found in the bytes of the text, also across tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "generate/sampling/logit_row.h"
#include "generate/sampling/sampler_options.h"
#include "generate/sampling/sequence_breakers.h"

namespace gpt2edge {

class Dry {
 public:
  // Throws what SequenceBreakers does.
  Dry(const SamplerOptions& options, std::shared_ptr<const TokenizerTables> vocabulary);

  bool is_on() const { return multiplier_ > 0; }
  void accept(int32_t token);
  void clear() { breakers_.clear(); }

  // `text` is all that was noted.
  void apply(const LogitRow& row, std::span<const int32_t> text);

 private:
  void find_repetitions(std::span<const int32_t> text);
  double penalty(size_t length) const;

  double multiplier_;  // 0: all is off
  double base_;
  size_t allowed_length_;
  int last_n_;
  SequenceBreakers breakers_;

  // Reused by every call.
  std::vector<size_t> matches_;
  std::unordered_map<int32_t, size_t> longest_;  // token -> the repetition it would make longer
};

}  // namespace gpt2edge
