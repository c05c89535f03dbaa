// Characters in bytes that may be cut off, or not be UTF-8 at all.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gpt2edge {

enum class Utf8State {
  kWhole,
  kIncomplete,  // the bytes end where a character could still go on
  kInvalid,     // no character begins so
};

struct Utf8Character {
  Utf8State state;
  char32_t code = 0;  // of a whole one
  size_t length = 1;  // of the bytes that are it, or its beginning, or invalid
};

// The character that bytes begin with; there is at least one byte.
Utf8Character first_character(std::string_view text);

// The same for what is known to be valid UTF-8, without a look at what is not the character.
inline Utf8Character first_of_valid(std::string_view text) {
  const auto byte = [text](size_t i) { return char32_t{static_cast<unsigned char>(text[i])}; };
  const auto more = [&](size_t i) { return byte(i) & 0x3F; };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {Utf8State::kWhole, lead, 1};
  if (lead < 0xE0) return {Utf8State::kWhole, (lead & 0x1F) << 6 | more(1), 2};
  if (lead < 0xF0) return {Utf8State::kWhole, (lead & 0x0F) << 12 | more(1) << 6 | more(2), 3};
  const char32_t code = (lead & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3);
  return {Utf8State::kWhole, code, 4};
}

// The character that bytes end in; there is at least one byte.
Utf8Character last_character(std::string_view text);

// How many bytes at the end of `text` are the start of a UTF-8 character that more bytes could
// complete: 0 to 3. Bytes that cannot become one do not count.
size_t incomplete_utf8_tail(std::string_view text);

// How many bytes are valid UTF-8, up to the first that are not.
size_t valid_utf8_length(std::string_view text);

// The text with U+FFFD for each part that is not UTF-8, or nothing where all of it is. A part is as
// much as could be the beginning of a character, or one byte, as in Python's errors="replace".
// Source: Unicode standard, section 3.9, "U+FFFD substitution of maximal subparts".
std::optional<std::string> repaired_utf8(std::string_view text);

}  // namespace gpt2edge
