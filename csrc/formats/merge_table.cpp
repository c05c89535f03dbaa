#include "formats/merge_table.h"

#include <bit>

namespace gpt2edge {

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
  size_t i = first_slot(left, right);
  while (slots_[i].number != kNone) {
    if (slots_[i].left == left && slots_[i].right == right) break;
    i = (i + 1) & (slots_.size() - 1);
  }
  return i;
}

}  // namespace gpt2edge
