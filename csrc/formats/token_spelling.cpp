#include "formats/token_spelling.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace gpt2edge {
namespace {

constexpr std::string_view kSpaceSign = "\xE2\x96\x81";  // U+2581

// What comes without a space before it: the ends of sentences, and of contractions in English.
constexpr std::string_view kClosing[] = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};

bool is_closing(std::string_view word) {
  return std::any_of(std::begin(kClosing), std::end(kClosing),
                     [=](std::string_view closing) { return word.starts_with(closing); });
}

// "<0x0A>"
bool read_byte(std::string_view token, char& byte) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return false;
  unsigned value = 0;
  const char* end = token.data() + 5;
  const auto [stopped, error] = std::from_chars(token.data() + 3, end, value, 16);
  if (error != std::errc() || stopped != end) return false;
  byte = static_cast<char>(value);
  return true;
}

}  // namespace

std::string text_of_word_piece(std::string_view token) {
  const bool is_name = token.size() > 1 && token.front() == '[' && token.back() == ']';
  if (!is_name && !token.starts_with(kSpaceSign)) return std::string(token);
  const std::string_view word = is_name ? token : token.substr(kSpaceSign.size());
  return is_closing(word) ? std::string(word) : std::string(" ").append(word);
}

std::string bytes_of_sentence_piece(std::string_view token, int32_t type) {
  char byte = 0;
  if (type == kByteToken && read_byte(token, byte)) return {byte};
  std::string text;
  for (size_t at = token.find(kSpaceSign); at != token.npos; at = token.find(kSpaceSign)) {
    text.append(token.substr(0, at)).append(" ");
    token.remove_prefix(at + kSpaceSign.size());
  }
  return text.append(token);
}

}  // namespace gpt2edge
