// How GPT-2 cuts a text into pieces, within which bytes are merged: words, numbers and punctuation,
// each with a space before it, and white space.
#pragma once

#include <cstddef>
#include <string_view>

namespace gpt2edge {

// The length in bytes of the first piece of a text, which is valid UTF-8 and not empty. What
// follows the text matters: of white space before a word, the last character is not in the piece.
size_t first_piece(std::string_view text);

}  // namespace gpt2edge
