// The published pattern, of which the first alternative that matches counts, is
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, and its
// code, encoder.py.
#include "tokenize/pieces.h"

#include <array>

#include "tokenize/unicode_classes.h"
#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

enum class Kind : uint8_t { kLetter, kNumber, kSpace, kOther };

constexpr Kind kind_of(CharacterClass found) {
  switch (found) {
    case CharacterClass::kLetter:
      return Kind::kLetter;
    case CharacterClass::kNumber:
      return Kind::kNumber;
    case CharacterClass::kSpace:
      return Kind::kSpace;
    default:
      return Kind::kOther;
  }
}

constexpr auto kAsciiKinds = [] {
  std::array<Kind, 0x80> kinds{};
  for (char32_t code = 0; code < kinds.size(); ++code) {
    kinds[code] = kind_of(detail::ascii_class(code));
  }
  return kinds;
}();

struct Character {
  Kind kind;
  size_t length;
};

Character character_at(std::string_view text, size_t i) {
  const auto byte = static_cast<unsigned char>(text[i]);
  if (byte < kAsciiKinds.size()) return {kAsciiKinds[byte], 1};
  const Utf8Character found = first_of_valid(text.substr(i));
  return {kind_of(character_class(found.code)), found.length};
}

// The end of the contraction that an apostrophe begins, such as "'s"; 0 when there is none.
size_t contraction(std::string_view text) {
  for (const std::string_view one : {"'s", "'t", "'m", "'d", "'re", "'ve", "'ll"}) {
    if (text.starts_with(one)) return one.size();
  }
  return 0;
}

// The end of the characters of a kind from `i` on.
size_t end_of_run(std::string_view text, size_t i, Kind kind) {
  while (i < text.size()) {
    const Character next = character_at(text, i);
    if (next.kind != kind) break;
    i += next.length;
  }
  return i;
}

// A run of white space; without its last character where a word follows, unless it is all.
size_t white_space(std::string_view text) {
  size_t end = 0, last = 0;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != Kind::kSpace) return last > 0 ? last : end;
    last = end;
    end += next.length;
  }
  return end;
}

}  // namespace

size_t first_piece(std::string_view text) {
  if (text[0] == '\'') {
    if (const size_t length = contraction(text)) return length;
  }
  const size_t start = text[0] == ' ' && text.size() > 1 ? 1 : 0;
  const Character first = character_at(text, start);
  if (first.kind == Kind::kSpace) return white_space(text);
  return end_of_run(text, start + first.length, first.kind);
}

}  // namespace gpt2edge
