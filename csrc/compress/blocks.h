// Where a text is cut into blocks.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace gpt2edge {

// Blocks of nearly equal length, at most `most` bytes each: cut behind a line or before a space
// where there is one shortly before the end, so that no word is split, else between characters.
std::vector<std::string_view> split_into_blocks(std::string_view text, size_t most);

}  // namespace gpt2edge
