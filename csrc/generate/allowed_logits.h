// The logits of the tokens that a constraint allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "generate/constraint.h"
#include "generate/sampling/candidates.h"

namespace gpt2edge {

class AllowedLogits {
 public:
  // `end` is the end-of-text token, if the vocabulary has one. Where the language may end, it is
  // one of the tokens that are left, unless it is to be ignored.
  AllowedLogits(Constraint& constraint, std::optional<int32_t> end, bool ignores_end)
      : constraint_(&constraint), end_(end), ignores_end_(ignores_end) {}

  // To be called before the pass that gives the logits after the text and the draft tokens.
  void begin(std::span<const int32_t> draft) { constraint_->begin_masks(draft); }

  // Leaves the logits of the tokens that may follow the first n of those draft tokens, in memory
  // that the next call uses again. Returns whether there is any but the end-of-text token. Throws
  // what Constraint::mask does.
  bool leave(Logits& logits, size_t n);

  bool is_end(int32_t token) const { return token == end_; }

 private:
  Constraint* constraint_;
  std::optional<int32_t> end_;
  bool ignores_end_;
  std::vector<float> left_;
};

}  // namespace gpt2edge
