// Byte-pair encoding of one piece of text: of all pairs of neighbours that may be joined, the one
// with the lowest merge number is joined first, and of equals the leftmost.
// Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "formats/merge_table.h"

namespace gpt2edge {

// Its buffers are reused from one piece to the next.
class PairMerger {
 public:
  explicit PairMerger(const MergeTable& table) : table_(table) {}

  // To be filled with tokens; fewer than 2^32. One below 0 is never merged.
  std::vector<int32_t>& symbols() { return symbols_; }

  // Leaves in symbols() what cannot be merged further. Returns the number of the last merge, or
  // MergeTable::kNone where there was none. n symbols take at most n log n steps.
  int32_t merge_all();

 private:
  int32_t merge_few();
  int32_t merge_many();
  void link();
  void look_right(uint32_t place);
  void join(uint32_t place, int32_t result);
  void close_gaps();

  const MergeTable& table_;
  std::vector<int32_t> symbols_;
  std::vector<int32_t> merge_at_;  // by place: the merge of a symbol with the next one
  // Places of neighbours, where symbols are many.
  std::vector<uint32_t> next_;
  std::vector<uint32_t> previous_;
  // Merge number and place, 32 bits each: the first merge comes first, and of those the leftmost.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> open_;
};

}  // namespace gpt2edge
