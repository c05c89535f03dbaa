#include "formats/reachable_merges.h"

#include <cstddef>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace gpt2edge {
namespace {

constexpr int32_t kNone = -1;

// Encodes single tokens. Its buffers are reused from one to the next.
class Encoder {
 public:
  explicit Encoder(std::span<const Merge> merges) : merges_(merges) {
    index_.reserve(merges.size());
    for (size_t i = 0; i < merges.size(); ++i) {
      index_.emplace(key(merges[i].left, merges[i].right), static_cast<int32_t>(i));
    }
  }

  // The merge that joins the last two symbols, or kNone when more than one symbol remains.
  int32_t last_merge(std::vector<int32_t> symbols) {
    start(std::move(symbols));
    size_t n_left = symbols_.size();
    int32_t last = kNone;
    while (!open_.empty()) {
      const auto [merge, place] = open_.top();
      open_.pop();
      if (merge_at(place) != merge) continue;  // another merge has used one of its symbols
      join(place, merges_[static_cast<size_t>(merge)].result);
      last = merge;
      --n_left;
    }
    return n_left == 1 ? last : kNone;
  }

 private:
  static uint64_t key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }

  void start(std::vector<int32_t> symbols) {
    symbols_ = std::move(symbols);
    const size_t n = symbols_.size();
    next_.resize(n);
    previous_.resize(n);
    for (size_t i = 0; i < n; ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;  // wraps at 0 to a place that is never there
    }
    for (size_t i = 0; i < n; ++i) open(i);
  }

  // The merge of the symbol at a place with the one after it, kNone when there is none.
  int32_t merge_at(size_t place) const {
    if (symbols_[place] == kNone || next_[place] >= symbols_.size()) return kNone;
    const auto found = index_.find(key(symbols_[place], symbols_[next_[place]]));
    return found == index_.end() ? kNone : found->second;
  }

  void open(size_t place) {
    if (const int32_t merge = merge_at(place); merge != kNone) open_.emplace(merge, place);
  }

  void join(size_t place, int32_t result) {
    const size_t gone = next_[place];
    symbols_[place] = result;
    symbols_[gone] = kNone;
    next_[place] = next_[gone];
    if (next_[place] < symbols_.size()) previous_[next_[place]] = place;
    open(place);
    if (previous_[place] < symbols_.size()) open(previous_[place]);
  }

  using Candidate = std::pair<int32_t, size_t>;  // merge, place: the first merge, then leftmost
  std::span<const Merge> merges_;
  std::unordered_map<uint64_t, int32_t> index_;  // pair -> merge
  std::vector<int32_t> symbols_;                 // kNone where one was joined to its neighbour
  std::vector<size_t> next_;
  std::vector<size_t> previous_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> open_;
};

}  // namespace

std::vector<int32_t> reachable_merges(
    std::span<const Merge> merges, const std::function<std::vector<int32_t>(int32_t)>& spell) {
  Encoder encoder(merges);
  std::unordered_set<int32_t> seen;
  seen.reserve(merges.size());
  std::vector<char> reached(merges.size(), 0);
  for (const Merge& merge : merges) {
    if (!seen.insert(merge.result).second) continue;
    const int32_t last = encoder.last_merge(spell(merge.result));
    if (last != kNone) reached[static_cast<size_t>(last)] = 1;
  }
  std::vector<int32_t> indices;
  for (size_t i = 0; i < merges.size(); ++i) {
    if (reached[i] != 0) indices.push_back(static_cast<int32_t>(i));
  }
  return indices;
}

}  // namespace gpt2edge
