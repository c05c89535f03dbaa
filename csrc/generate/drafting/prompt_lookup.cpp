#include "generate/drafting/prompt_lookup.h"

#include <algorithm>

namespace gpt2edge {

size_t PromptLookup::Hash::operator()(const Run& run) const {
  uint64_t hash = 0;
  for (const int32_t token : run) {
    hash = (hash ^ static_cast<uint32_t>(token)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return static_cast<size_t>(hash);
}

PromptLookup::Run PromptLookup::run(std::span<const int32_t> tokens) {
  Run run;
  run.fill(-1);
  std::copy(tokens.begin(), tokens.end(), run.begin());
  return run;
}

std::vector<int32_t> PromptLookup::draft(std::span<const int32_t> text, int n, const Sampler&,
                                         const Interrupt&) {
  note_all_but_the_end(text);
  std::vector<int32_t> drafted;
  const auto place = last_place(text);
  if (!place) return drafted;
  // What repeats itself goes on repeating: beyond the text come the draft's own tokens.
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const size_t from = *place + i;
    drafted.push_back(from < text.size() ? text[from] : drafted[from - text.size()]);
  }
  return drafted;
}

// After the last place where the text's end stood before.
std::optional<size_t> PromptLookup::last_place(std::span<const int32_t> text) const {
  for (size_t length = std::min(kLongest, text.size()); length >= kShortest; --length) {
    const auto found = ends_.find(run(text.last(length)));
    if (found != ends_.end()) return found->second;
  }
  return std::nullopt;
}

void PromptLookup::note_all_but_the_end(std::span<const int32_t> text) {
  for (size_t end = n_noted_ + 1; end < text.size(); ++end) {
    for (size_t length = kShortest; length <= std::min(kLongest, end); ++length) {
      ends_[run(text.first(end).last(length))] = end;
    }
  }
  n_noted_ = std::max(n_noted_, text.size() - 1);
}

}  // namespace gpt2edge
