// Which tokens byte-pair encoding can make, and with what priority.
//
// A tokenizer's merges are pairs: "l|o" gives "lo". Some implementations, tiktoken among them, know
// only the result and its priority, and would also make "low" of "l|ow" where only "lo|w" is listed.
// The two agree once each result is given the priority of the merge that really makes it, and
// results that no text leads to are left out. Why: what happens between the ends of a token, while
// nothing has been merged across them, does not depend on the text around it. So the pair that makes
// a token is the same everywhere, and encoding the token's own bytes shows which one it is.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace gpt2edge {

// Token ids; merge number i has priority i, lower first.
struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
};

// The indices of the merges that can happen, ascending, no two with the same result. spell(token)
// gives the single-byte tokens that a result starts as, or nothing when the vocabulary lacks one.
// Takes n log n for a token of n bytes.
std::vector<int32_t> reachable_merges(
    std::span<const Merge> merges, const std::function<std::vector<int32_t>(int32_t)>& spell);

}  // namespace gpt2edge
