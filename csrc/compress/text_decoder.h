// A code's way back to text, token by token, as the logits come. Knows no model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compress/range_coder.h"
#include "formats/tokenizer_tables.h"

namespace gpt2edge {

class TextDecoder {
 public:
  using IsWhole = std::function<bool(std::string_view text)>;

  // Of a text of n_text bytes; or of one that ends where its code does and `is_whole` is true, and
  // has `most_text` at the most.
  static TextDecoder of_length(const std::string& name, const TokenizerTables& tables,
                               std::span<const std::byte> code, size_t n_text);
  static TextDecoder until_whole(const std::string& name, const TokenizerTables& tables,
                                 std::span<const std::byte> code, size_t most_text,
                                 IsWhole is_whole);

  bool done() const { return done_; }
  // Decodes the next token, with the logits after those so far and the greatest of them. Throws
  // FormatError, which begins with `name`, where this cannot be the code of a text; then no more
  // may be added. A text of wrong bytes is no error here.
  void add(std::span<const float> logits, float greatest);

  const std::vector<int32_t>& tokens() const { return tokens_; }
  const std::string& text() const { return text_; }

 private:
  TextDecoder(const std::string& name, const TokenizerTables& tables,
              std::span<const std::byte> code, size_t most_text, IsWhole is_whole);
  void look_for_end();
  [[noreturn]] void fail() const;

  const std::string& name_;
  const TokenizerTables& tables_;
  RangeDecoder decoder_;
  size_t most_text_;
  IsWhole is_whole_;  // none where the text has most_text_ bytes
  bool done_ = false;
  std::vector<int32_t> tokens_;
  std::string text_;
};

// What is wrong where a code is none, as the end of a message.
inline constexpr const char* kDamaged = "it is damaged, or was compressed with another model";

}  // namespace gpt2edge
