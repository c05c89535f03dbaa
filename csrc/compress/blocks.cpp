#include "compress/blocks.h"

#include <algorithm>

#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

constexpr size_t kFarthest = 256;  // bytes from the end at which a block is cut

// At most n, at least 1, for a text of more than n bytes.
size_t cut_before(std::string_view text, size_t n) {
  const size_t least = n - std::min(kFarthest, n / 8);
  const auto found = [&](size_t at) {
    return at != std::string_view::npos && at >= least && at > 0;
  };
  const size_t line = text.find_last_of('\n', n - 1);
  if (found(line)) return line + 1;
  const size_t space = text.find_last_of(' ', n);
  if (found(space)) return space;
  const size_t n_tail = incomplete_utf8_tail(text.substr(0, n));
  return n_tail < n ? n - n_tail : n;
}

size_t divided_up(size_t a, size_t b) { return a / b + (a % b > 0 ? 1 : 0); }

}  // namespace

std::vector<std::string_view> split_into_blocks(std::string_view text, size_t most) {
  std::vector<std::string_view> blocks;
  while (!text.empty()) {
    const size_t n_blocks = divided_up(text.size(), most);
    const size_t n =
        n_blocks == 1 ? text.size() : cut_before(text, divided_up(text.size(), n_blocks));
    blocks.push_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return blocks;
}

}  // namespace gpt2edge
