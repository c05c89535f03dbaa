// Characters in bytes that may be cut off, or not be UTF-8 at all.
#pragma once

#include <cstddef>
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

// The character that bytes end in; there is at least one byte.
Utf8Character last_character(std::string_view text);

// How many bytes at the end of `text` are the start of a UTF-8 character that more bytes could
// complete: 0 to 3. Bytes that cannot become one do not count.
size_t incomplete_utf8_tail(std::string_view text);

}  // namespace gpt2edge
