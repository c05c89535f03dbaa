#include "formats/reachable_merges.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "formats/pair_merger.h"

namespace gpt2edge {

std::vector<int32_t> reachable_merges(const MergeTable& merges, const Spell& spell) {
  const auto n_merges = static_cast<int32_t>(merges.size());
  int32_t last_result = 0;
  for (int32_t i = 0; i < n_merges; ++i) last_result = std::max(last_result, merges[i].result);
  std::vector<char> done(static_cast<size_t>(last_result) + 1, 0);  // by token
  std::vector<char> reached(merges.size(), 0);                      // by merge
  PairMerger merger(merges);
  for (int32_t i = 0; i < n_merges; ++i) {
    const int32_t result = merges[i].result;
    if (std::exchange(done[static_cast<size_t>(result)], 1) != 0) continue;
    spell(result, merger.symbols());
    const int32_t last = merger.merge_all();
    if (last != MergeTable::kNone && merger.symbols().size() == 1) {
      reached[static_cast<size_t>(last)] = 1;
    }
  }
  std::vector<int32_t> numbers;
  for (int32_t i = 0; i < n_merges; ++i) {
    if (reached[static_cast<size_t>(i)] != 0) numbers.push_back(i);
  }
  return numbers;
}

}  // namespace gpt2edge
