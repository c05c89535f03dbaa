#include "formats/pair_merger.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/error.h"

namespace gpt2edge {
namespace {

constexpr int32_t kNone = MergeTable::kNone;
constexpr size_t kFew = 64;  // up to here, looking at all of them is faster than a queue

}  // namespace

int32_t PairMerger::merge_all() { return symbols_.size() <= kFew ? merge_few() : merge_many(); }

// Looks at all pairs for each merge.
int32_t PairMerger::merge_few() {
  size_t n = symbols_.size();
  merge_at_.resize(n);
  for (size_t i = 0; i + 1 < n; ++i) merge_at_[i] = table_.find(symbols_[i], symbols_[i + 1]);
  int32_t last = kNone;
  while (n > 1) {
    // As unsigned numbers, kNone is the highest.
    const auto first = std::min_element(
        merge_at_.begin(), merge_at_.begin() + static_cast<std::ptrdiff_t>(n - 1),
        [](int32_t a, int32_t b) { return static_cast<uint32_t>(a) < static_cast<uint32_t>(b); });
    if (*first == kNone) break;
    last = *first;
    const auto i = static_cast<size_t>(first - merge_at_.begin());
    symbols_[i] = table_[last].result;
    --n;
    for (size_t j = i + 1; j < n; ++j) symbols_[j] = symbols_[j + 1];
    for (size_t j = i + 1; j + 1 < n; ++j) merge_at_[j] = merge_at_[j + 1];
    if (i > 0) merge_at_[i - 1] = table_.find(symbols_[i - 1], symbols_[i]);
    if (i + 1 < n) merge_at_[i] = table_.find(symbols_[i], symbols_[i + 1]);
  }
  symbols_.resize(n);
  return last;
}

// Keeps the pairs in a queue.
int32_t PairMerger::merge_many() {
  link();
  int32_t last = kNone;
  while (!open_.empty()) {
    const auto merge = static_cast<int32_t>(open_.top() >> 32);
    const auto place = static_cast<uint32_t>(open_.top());
    open_.pop();
    if (merge_at_[place] != merge) continue;  // another merge has used one of its symbols
    join(place, table_[merge].result);
    last = merge;
  }
  close_gaps();
  return last;
}

void PairMerger::link() {
  if (symbols_.size() >= std::numeric_limits<uint32_t>::max()) {
    throw std::invalid_argument(message("a word of ", symbols_.size(), " bytes is too long"));
  }
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
void PairMerger::look_right(uint32_t place) {
  const bool is_last = next_[place] >= symbols_.size();
  const int32_t merge = is_last ? kNone : table_.find(symbols_[place], symbols_[next_[place]]);
  merge_at_[place] = merge;
  if (merge != kNone) open_.push(static_cast<uint64_t>(merge) << 32 | place);
}

void PairMerger::join(uint32_t place, int32_t result) {
  const uint32_t gone = next_[place];
  symbols_[place] = result;
  merge_at_[gone] = kNone;
  next_[place] = next_[gone];
  if (next_[place] < symbols_.size()) previous_[next_[place]] = place;
  look_right(place);
  if (previous_[place] < symbols_.size()) look_right(previous_[place]);
}

void PairMerger::close_gaps() {
  size_t n = 0;
  for (size_t place = 0; place < symbols_.size(); place = next_[place]) {
    symbols_[n++] = symbols_[place];
  }
  symbols_.resize(n);
}

}  // namespace gpt2edge
