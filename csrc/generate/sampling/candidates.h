// Searches the logits of a whole vocabulary: the maximum, and the best few in order.
//
// Order is by logit, and between equal logits by the lower id: a total order, so that no result
// depends on how a library sorts. A logit of -infinity bans its token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "model/model.h"

namespace gpt2edge {

// The logits of a vocabulary, (n_vocab). `maxima` has the greatest of every kMaximaBlock logits,
// NaN for a block with one that is not finite: most blocks are then skipped.
struct Logits {
  std::span<const float> all;
  std::span<const float> maxima = {};  // may be empty
};

constexpr float kLargestFloat = std::numeric_limits<float>::max();
constexpr float kBanned = -std::numeric_limits<float>::infinity();

struct Candidate {
  float logit;
  int32_t token;
};

inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

// The greatest logit. Throws std::invalid_argument when there are no logits or all are banned, and
// FormatError when one is NaN or +infinity, as broken weights produce.
float max_logit(const Logits& logits);

// The lowest id whose logit equals `value`, which must be there.
int32_t first_token_with(const Logits& logits, float value);

// Fills `best` with the `count` best candidates of those above a logit, all that are not banned if
// none is given, or fewer if there are fewer, best first. `count` >= 1. Reuses the capacity of
// `best`.
void select_best(const Logits& logits, size_t count, std::vector<Candidate>& best,
                 float above = -std::numeric_limits<float>::infinity());

}  // namespace gpt2edge
