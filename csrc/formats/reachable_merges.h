// Which tokens byte-pair encoding can make, and with what priority.
//
// A tokenizer's merges are pairs: "l|o" gives "lo". Some implementations, tiktoken among them, know
// only the result and its priority, and would also make "low" of "l|ow" where only "lo|w" is
// listed. The two agree once each result is given the priority of the merge that really makes it,
// and results that no text leads to are left out. Why: what happens between the ends of a token,
// while nothing has been merged across them, does not depend on the text around it. So the pair
// that makes a token is the same everywhere, and encoding the token's own bytes shows which one it
// is.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "formats/merge_table.h"

namespace gpt2edge {

// Fills `symbols` with the single-byte tokens that a merge's result starts as, or with nothing when
// the vocabulary lacks one of them.
using Spell = std::function<void(int32_t result, std::vector<int32_t>& symbols)>;

// The numbers of the merges that can happen, ascending, no two with the same result. byte_tokens
// are those of single bytes; what is below 0 counts for none. A token of n bytes takes n steps; n
// log n where merges use tokens that later ones make, as those of trained vocabularies never do.
std::vector<int32_t> reachable_merges(const MergeTable& merges,
                                      std::span<const int32_t> byte_tokens, const Spell& spell);

}  // namespace gpt2edge
