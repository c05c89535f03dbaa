// Added tokens, which are found in a text before it is cut into pieces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2edge {

// Finds the leftmost first, and the longest that begins there.
class AddedTokens {
 public:
  struct Found {
    size_t start;
    size_t length;
    int32_t id;
  };

  // Texts and ids. The texts outlive this; those that are not UTF-8 are in no text, and of equal
  // ones the lowest id counts.
  explicit AddedTokens(std::vector<std::pair<std::string_view, int32_t>> tokens);

  // The first in a text in UTF-8.
  std::optional<Found> find(std::string_view text) const;

  // Calls on_text for what is between them, which may be empty, and on_token for each, in order.
  template <typename OnText, typename OnToken>
  void split(std::string_view text, const OnText& on_text, const OnToken& on_token) const {
    while (const std::optional<Found> found = find(text)) {
      on_text(text.substr(0, found->start));
      on_token(found->id);
      text.remove_prefix(found->start + found->length);
    }
    on_text(text);
  }

 private:
  std::optional<Found> longest_at(std::string_view text, size_t start) const;

  std::vector<std::pair<std::string_view, int32_t>> tokens_;  // in order
  std::array<bool, 256> begins_{};                            // by first byte
};

}  // namespace gpt2edge
