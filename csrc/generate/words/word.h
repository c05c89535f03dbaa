// The definition of a word.
//
// A word is a run of letters, digits and the marks on them, with apostrophes inside. A character of
// a script written without spaces (Chinese, Japanese, Thai ...) is a word by itself.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace gpt2edge {

constexpr size_t kMaxPartialWord = 64;  // letters; longer words are not completed

// The word at the end of a text: the text before it, and the part of it that is there. Views of the
// text.
struct PartialWord {
  std::string_view context;
  // What the rest begins with: " wea", " " where a word with a space before it is to come, nothing
  // where there is nothing yet.
  std::string_view prefix;
  bool may_space = false;  // a space may come first

  // None for a text that ends in a word too long to be one.
  static std::optional<PartialWord> at_end_of(std::string_view text);
};

struct ReadWord {
  size_t n;  // how many of the first bytes are a word
  // Whether it ends there. It has not ended where the bytes do, or where an apostrophe or a part of
  // a character stands at their end: that may be in the word or not, and is not counted.
  bool ended;

  bool operator==(const ReadWord&) const = default;
};

ReadWord read_word(std::string_view data);

// Letters and digits of ASCII, and at least one: what most tokens are.
bool is_plain_word(std::string_view data);

// Tokens hold the space before a word.
inline std::string_view without_space(std::string_view data) {
  return data.substr(data.starts_with(' ') ? 1 : 0);
}

}  // namespace gpt2edge
