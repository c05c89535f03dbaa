#include "formats/reachable_merges.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

#include "formats/pair_merger.h"

namespace gpt2edge {
namespace {

constexpr int32_t kNoMerge = MergeTable::kNone;

size_t n_tokens_of(const MergeTable& merges, std::span<const int32_t> byte_tokens) {
  int32_t last = 0;
  for (const int32_t token : byte_tokens) last = std::max(last, token);
  for (size_t i = 0; i < merges.size(); ++i) {
    const Merge& merge = merges[static_cast<int32_t>(i)];
    last = std::max({last, merge.left, merge.right, merge.result});
  }
  return static_cast<size_t>(last) + 1;
}

// For merges that use only what earlier ones make. Those that happen in a text then do so in the
// order of their numbers, each wherever it can from left to right, and how a token was made says
// which symbols lay beside each other at any time.
class OrderedMerges {
 public:
  OrderedMerges(const MergeTable& merges, std::span<const int32_t> byte_tokens)
      : merges_(merges), made_by_(n_tokens_of(merges, byte_tokens), kUnreachable) {
    for (const int32_t token : byte_tokens) {
      if (token >= 0) made_by_[static_cast<size_t>(token)] = kByte;
    }
  }

  // Nothing where a merge uses what a later one makes.
  std::optional<std::vector<int32_t>> reachable() {
    std::vector<char> is_used(made_by_.size(), 0);
    for (size_t i = 0; i < is_used.size(); ++i) is_used[i] = made_by_[i] == kByte;
    std::vector<int32_t> numbers;
    numbers.reserve(merges_.size());
    for (int32_t i = 0; i < static_cast<int32_t>(merges_.size()); ++i) {
      const auto [left, right, result] = merges_[i];
      is_used[static_cast<size_t>(left)] = is_used[static_cast<size_t>(right)] = 1;
      if (is_used[static_cast<size_t>(result)] != 0) return std::nullopt;
      if (made_by(result) != kUnreachable || !can_happen(left, right)) continue;
      made_by_[static_cast<size_t>(result)] = i;
      numbers.push_back(i);
    }
    return numbers;
  }

 private:
  static constexpr int32_t kByte = -1;  // before all merges
  static constexpr int32_t kUnreachable = -2;
  static constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

  int32_t made_by(int32_t token) const { return made_by_[static_cast<size_t>(token)]; }

  // Whether the bytes of two tokens become these two. Goes back in time from there, from one pair
  // of neighbours at the tokens' border to the one before it: none may merge while they are
  // neighbours. A merge of the left one's comes before an equal one across the border, and that
  // before an equal one of the right one's.
  bool can_happen(int32_t left, int32_t right) const {
    if (made_by(left) == kUnreachable || made_by(right) == kUnreachable) return false;
    int32_t left_until = kNever, right_until = kNever;  // the merges that use them up
    while (made_by(left) != kByte || made_by(right) != kByte) {
      if (made_by(left) > made_by(right)) {
        left_until = made_by(left);
        left = merges_[left_until].right;
      } else {
        right_until = made_by(right);
        right = merges_[right_until].left;
      }
      const int32_t across = merges_.find(left, right);
      if (across != kNoMerge && across < left_until && across <= right_until) return false;
    }
    return true;
  }

  const MergeTable& merges_;
  std::vector<int32_t> made_by_;  // by token
};

// For any merges: encodes the bytes of each result.
std::vector<int32_t> reachable_by_trial(const MergeTable& merges, size_t n_tokens,
                                        const Spell& spell) {
  const auto n_merges = static_cast<int32_t>(merges.size());
  std::vector<char> done(n_tokens, 0);          // by token
  std::vector<char> reached(merges.size(), 0);  // by merge
  PairMerger merger(merges);
  for (int32_t i = 0; i < n_merges; ++i) {
    const int32_t result = merges[i].result;
    if (std::exchange(done[static_cast<size_t>(result)], 1) != 0) continue;
    spell(result, merger.symbols());
    const int32_t last = merger.merge_all();
    if (last != kNoMerge && merger.symbols().size() == 1) reached[static_cast<size_t>(last)] = 1;
  }
  std::vector<int32_t> numbers;
  for (int32_t i = 0; i < n_merges; ++i) {
    if (reached[static_cast<size_t>(i)] != 0) numbers.push_back(i);
  }
  return numbers;
}

}  // namespace

std::vector<int32_t> reachable_merges(const MergeTable& merges,
                                      std::span<const int32_t> byte_tokens, const Spell& spell) {
  if (auto numbers = OrderedMerges(merges, byte_tokens).reachable()) return *std::move(numbers);
  return reachable_by_trial(merges, n_tokens_of(merges, byte_tokens), spell);
}

}  // namespace gpt2edge
