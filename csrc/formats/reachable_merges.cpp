#include "formats/reachable_merges.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>
#include <utility>

namespace gpt2edge {
namespace {

constexpr int32_t kNone = MergeTable::kNone;

// Encodes single tokens. Its buffers are reused from one to the next.
class Encoder {
 public:
  explicit Encoder(const MergeTable& table) : table_(table) {}

  // To be filled with the symbols to encode.
  std::vector<int32_t>& symbols() { return symbols_; }

  // The merge that joins the last two symbols, or kNone when more than one symbol remains.
  int32_t last_merge() {
    link();
    size_t n_left = symbols_.size();
    int32_t last = kNone;
    while (!open_.empty()) {
      const auto merge = static_cast<int32_t>(open_.top() >> 32);
      const auto place = static_cast<uint32_t>(open_.top());
      open_.pop();
      if (merge_at_[place] != merge) continue;  // another merge has used one of its symbols
      join(place, table_[merge].result);
      last = merge;
      --n_left;
    }
    return n_left == 1 ? last : kNone;
  }

 private:
  void link() {
    const auto n = static_cast<uint32_t>(symbols_.size());
    next_.resize(n);
    previous_.resize(n);
    merge_at_.resize(n);
    for (uint32_t i = 0; i < n; ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;  // wraps at 0 to a place that is never there
    }
    for (uint32_t i = 0; i < n; ++i) look_right(i);
  }

  // Notes which merge, if any, joins the symbol at a place with the one after it.
  void look_right(uint32_t place) {
    const bool is_last = next_[place] >= symbols_.size();
    const int32_t merge = is_last ? kNone : table_.find(symbols_[place], symbols_[next_[place]]);
    merge_at_[place] = merge;
    if (merge != kNone) open_.push(static_cast<uint64_t>(merge) << 32 | place);
  }

  void join(uint32_t place, int32_t result) {
    const uint32_t gone = next_[place];
    symbols_[place] = result;
    merge_at_[gone] = kNone;
    next_[place] = next_[gone];
    if (next_[place] < symbols_.size()) previous_[next_[place]] = place;
    look_right(place);
    if (previous_[place] < symbols_.size()) look_right(previous_[place]);
  }

  const MergeTable& table_;
  std::vector<int32_t> symbols_;
  std::vector<uint32_t> next_;
  std::vector<uint32_t> previous_;
  std::vector<int32_t> merge_at_;
  // Merge number and place, 32 bits each: the first merge comes first, and of those the leftmost.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> open_;
};

}  // namespace

MergeTable::MergeTable(size_t n_merges) {
  merges_.reserve(n_merges);
  slots_.resize(std::bit_ceil(2 * n_merges + 2));
}

int32_t MergeTable::add(const Merge& merge) {
  Slot& slot = slots_[slot_of(merge.left, merge.right)];
  if (slot.number != kNone) return slot.number;
  slot = {merge.left, merge.right, static_cast<int32_t>(merges_.size())};
  filter_[filter_bit(merge.left, merge.right)] = true;
  merges_.push_back(merge);
  return kNone;
}

// The pair's slot, or the empty one where it belongs.
size_t MergeTable::slot_of(int32_t left, int32_t right) const {
  size_t i = static_cast<size_t>(hash(left, right) >> 32) & (slots_.size() - 1);
  while (slots_[i].number != kNone) {
    if (slots_[i].left == left && slots_[i].right == right) break;
    i = (i + 1) & (slots_.size() - 1);
  }
  return i;
}

std::vector<int32_t> MergeTable::reachable(const Spell& spell) const {
  Encoder encoder(*this);
  int32_t last_result = 0;
  for (const Merge& merge : merges_) last_result = std::max(last_result, merge.result);
  std::vector<char> done(static_cast<size_t>(last_result) + 1, 0);  // by token
  std::vector<char> reached(merges_.size(), 0);                     // by merge
  for (const Merge& merge : merges_) {
    if (std::exchange(done[static_cast<size_t>(merge.result)], 1) != 0) continue;
    spell(merge.result, encoder.symbols());
    const int32_t last = encoder.last_merge();
    if (last != kNone) reached[static_cast<size_t>(last)] = 1;
  }
  std::vector<int32_t> numbers;
  for (size_t i = 0; i < merges_.size(); ++i) {
    if (reached[i] != 0) numbers.push_back(static_cast<int32_t>(i));
  }
  return numbers;
}

}  // namespace gpt2edge
