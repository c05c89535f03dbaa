// What kind of character a code point is, by Unicode's general categories.
#pragma once

#include <cstdint>

namespace gpt2edge {

enum class CharacterClass : uint8_t {
  kOther,
  kLetter,  // L*
  kMark,    // M*
  kNumber,  // N*
  kSpace,   // the property White_Space
};

namespace detail {

constexpr CharacterClass ascii_class(char32_t code) {
  if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z')) return CharacterClass::kLetter;
  if (code >= '0' && code <= '9') return CharacterClass::kNumber;
  const bool is_space = code == ' ' || (code >= '\t' && code <= '\r');
  return is_space ? CharacterClass::kSpace : CharacterClass::kOther;
}

CharacterClass class_by_table(char32_t code);

}  // namespace detail

// kOther for numbers that are no code points.
inline CharacterClass character_class(char32_t code) {
  return code < 0x80 ? detail::ascii_class(code) : detail::class_by_table(code);
}

}  // namespace gpt2edge
