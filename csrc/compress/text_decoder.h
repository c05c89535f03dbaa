// A code's way back to text, token by token, as the logits come. Knows no model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compress/range_coder.h"
#include "formats/tokenizer_tables.h"

namespace gpt2edge {

// Where a code does not say how long its text is, an end follows after every token or it does not,
// as one symbol of these two: 6 bits for the end, 0.02 for each token.
constexpr FrequencyInterval kGoesOn{0, 63, 64}, kEnds{63, 1, 64};

class TextDecoder {
 public:
  // Of a text of n_text bytes, or of one whose code says where it ends, `most_text` at the most.
  static TextDecoder of_length(const std::string& name, const TokenizerTables& tables,
                               std::span<const std::byte> code, size_t n_text);
  static TextDecoder with_end(const std::string& name, const TokenizerTables& tables,
                              std::span<const std::byte> code, size_t most_text);

  bool done() const { return done_; }
  // Decodes the next token, with the logits after those so far and the greatest of them. Throws
  // FormatError, which begins with `name`, where this cannot be the code of a text; then no more
  // may be added. A text of wrong bytes is no error here.
  void add(std::span<const float> logits, float greatest);

  const std::vector<int32_t>& tokens() const { return tokens_; }
  const std::string& text() const { return text_; }

 private:
  TextDecoder(const std::string& name, const TokenizerTables& tables,
              std::span<const std::byte> code, size_t most_text, bool has_end);
  void look_for_end();
  [[noreturn]] void fail() const;

  const std::string& name_;
  const TokenizerTables& tables_;
  RangeDecoder decoder_;
  size_t most_text_;
  bool has_end_;
  bool done_ = false;
  std::vector<int32_t> tokens_;
  std::string text_;
};

// What is wrong where a code is none, as the end of a message.
inline constexpr const char* kDamaged = "it is damaged, or was compressed with another model";

}  // namespace gpt2edge
