// The merges of a tokenizer: which pairs of tokens byte-pair encoding joins, and which first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gpt2edge {

// Token ids, all 0 or more.
struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
};

// Number i has priority i, lower first.
class MergeTable {
 public:
  explicit MergeTable(size_t n_merges = 0);

  static constexpr int32_t kNone = -1;

  // Appends a merge, of which there may be n_merges. Where its pair is there already, it appends
  // nothing and returns that merge's number; otherwise kNone.
  int32_t add(const Merge& merge);

  // What a call of add will look at comes from memory meanwhile.
  void prepare([[maybe_unused]] const Merge& merge) const {
#if defined(__GNUC__)
    __builtin_prefetch(&slots_[first_slot(merge.left, merge.right)]);
#endif
  }

  // The number of a pair's merge, or kNone.
  int32_t find(int32_t left, int32_t right) const {
    return filter_[filter_bit(left, right)] ? slots_[slot_of(left, right)].number : kNone;
  }
  const Merge& operator[](int32_t number) const { return merges_[static_cast<size_t>(number)]; }
  size_t size() const { return merges_.size(); }

 private:
  // Holds the pair itself, so that a look-up seldom waits for memory more than once.
  struct Slot {
    int32_t left = 0;
    int32_t right = 0;
    int32_t number = kNone;
  };

  // Fibonacci hashing: the high bits are good.
  static uint64_t hash(int32_t left, int32_t right) {
    const uint64_t pair = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
    return pair * 0x9E3779B97F4A7C15;
  }
  static size_t filter_bit(int32_t left, int32_t right) {
    return static_cast<size_t>(hash(left, right) >> kFilterShift);
  }
  size_t first_slot(int32_t left, int32_t right) const {
    return static_cast<size_t>(hash(left, right) >> 32) & (slots_.size() - 1);
  }
  size_t slot_of(int32_t left, int32_t right) const;

  std::vector<Merge> merges_;
  std::vector<Slot> slots_;  // open hash table, at most half full

  // One bit for each start of a hash. Most pairs that are looked for are not in the table, and
  // these 64 kB tell so without leaving the processor's cache.
  static constexpr int kFilterShift = 64 - 19;
  std::vector<bool> filter_ = std::vector<bool>(size_t{1} << 19);
};

}  // namespace gpt2edge
