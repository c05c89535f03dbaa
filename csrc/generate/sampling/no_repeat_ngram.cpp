#include "generate/sampling/no_repeat_ngram.h"

#include <algorithm>

namespace gpt2edge {

// Scanning a text takes microseconds: no index is kept, which each fork would have to copy.
void ban_repeated_ngrams(const LogitRow& row, std::span<const int32_t> text, int n) {
  const auto n_before = static_cast<size_t>(n) - 1;
  if (text.size() <= n_before) return;
  const auto last = text.last(n_before);
  for (size_t i = 0; i + n_before < text.size(); ++i) {
    const auto before = text.subspan(i, n_before);
    if (std::equal(before.begin(), before.end(), last.begin())) {
      row.ban(text[i + n_before], kInText);
    }
  }
}

}  // namespace gpt2edge
