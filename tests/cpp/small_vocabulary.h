// What the tokenizer's tests share: a vocabulary of all bytes, some merges and some added tokens.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/tokenizer_tables.h"

namespace gpt2edge::test {

inline bool is_printable(unsigned byte) {
  return (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
}

// GPT-2's spelling of bytes: printable ones as they are, others as U+0100 and on.
inline std::string spelled(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    unsigned code = byte;
    if (!is_printable(byte)) {
      code = 0x100;
      for (unsigned before = 0; before < byte; ++before) code += is_printable(before) ? 0 : 1;
    }
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else {
      out += static_cast<char>(0xC0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return out;
}

// Tokens in bytes, merges of pairs of them in order, and tokens that are added as they are.
struct Vocabulary {
  std::vector<std::string> bytes;
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::pair<std::string, TokenType>> added;

  std::shared_ptr<const TokenizerTables> tables() const {
    std::vector<std::string> tokens, pairs;
    TokenizerSource source;
    source.path = "small";
    for (const std::string& token : bytes) tokens.push_back(spelled(token));
    for (const auto& [left, right] : merges) {
      tokens.push_back(spelled(left + right));
      pairs.push_back(spelled(left) + " " + spelled(right));
    }
    source.token_types.assign(tokens.size(), kNormalToken);
    for (const auto& [text, type] : added) {
      tokens.push_back(text);
      source.token_types.push_back(type);
    }
    source.tokens.assign(tokens.begin(), tokens.end());
    source.merges.assign(pairs.begin(), pairs.end());
    return std::make_shared<const TokenizerTables>(make_tokenizer_tables(source));
  }
};

// The id of a byte is its number; 256 to 262 are " t", "he", " the", "ll", "aa", "aaaa" and the
// character U+00E9.
inline Vocabulary small_vocabulary() {
  Vocabulary all;
  for (int byte = 0; byte < 256; ++byte) all.bytes.emplace_back(1, static_cast<char>(byte));
  all.merges = {{" ", "t"}, {"h", "e"},   {" t", "he"},    {"l", "l"},
                {"a", "a"}, {"aa", "aa"}, {"\xC3", "\xA9"}};
  all.added = {{"<|end|>", kControlToken},
               {"new york", kUserDefinedToken},
               {"new york city", kUserDefinedToken}};
  return all;
}
constexpr int kEnd = 263, kNewYork = 264, kNewYorkCity = 265;

}  // namespace gpt2edge::test
