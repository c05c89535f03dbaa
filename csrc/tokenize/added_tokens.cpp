#include "tokenize/added_tokens.h"

#include <algorithm>

#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

unsigned byte_at(std::string_view text, size_t i) { return static_cast<unsigned char>(text[i]); }

}  // namespace

AddedTokens::AddedTokens(std::vector<std::pair<std::string_view, int32_t>> tokens)
    : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const auto& token) {
    return token.first.empty() || repaired_utf8(token.first).has_value();
  });
  std::sort(tokens_.begin(), tokens_.end());
  const auto same_text = [](const auto& a, const auto& b) { return a.first == b.first; };
  tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), same_text), tokens_.end());
  for (const auto& token : tokens_) begins_[byte_at(token.first, 0)] = true;
}

std::optional<AddedTokens::Found> AddedTokens::find(std::string_view text) const {
  if (tokens_.empty()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!begins_[byte_at(text, i)]) continue;
    if (const auto found = longest_at(text, i)) return found;
  }
  return std::nullopt;
}

// Byte by byte, among fewer and fewer: those that begin like the text from `start` on. They are in
// order, so one that is no longer than what has been looked at is the first of them.
std::optional<AddedTokens::Found> AddedTokens::longest_at(std::string_view text,
                                                          size_t start) const {
  std::optional<Found> found;
  auto first = tokens_.begin();
  auto end = tokens_.end();
  for (size_t n = 0; start + n < text.size(); ++n) {
    const unsigned byte = byte_at(text, start + n);
    first = std::partition_point(first, end,
                                 [=](const auto& token) { return byte_at(token.first, n) < byte; });
    end = std::partition_point(first, end,
                               [=](const auto& token) { return byte_at(token.first, n) == byte; });
    if (first == end) break;
    if (first->first.size() > n + 1) continue;
    found = {start, n + 1, first->second};
    if (++first == end) break;
  }
  return found;
}

}  // namespace gpt2edge
