#include "compress/coded_context.h"

#include <algorithm>

namespace gpt2edge {

std::vector<int32_t> CodedContext::inputs_after(std::span<const int32_t> text) {
  if (text.empty()) return {start_};
  size_t n = 1;
  if (sequence_.length() == sequence_.n_ctx()) {
    sequence_.truncate(0);
    n = std::max<size_t>(1, static_cast<size_t>(sequence_.n_ctx()) / 2);
  }
  const auto last = text.last(n);
  return {last.begin(), last.end()};
}

}  // namespace gpt2edge
