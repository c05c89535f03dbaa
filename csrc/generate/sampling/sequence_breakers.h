// Texts that no repetition reaches over, such as the end of a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_tables.h"

namespace gpt2edge {

class SequenceBreakers {
 public:
  // Throws std::invalid_argument where there are breakers, and no vocabulary to find them with.
  SequenceBreakers(std::vector<std::string> breakers,
                   std::shared_ptr<const TokenizerTables> vocabulary);

  // The text goes on with a token. A breaker may begin in one token and end in another.
  void accept(int32_t token);
  void clear();

  // How many tokens the text has after the last one that a breaker ends in.
  size_t n_since() const { return n_since_; }
  // Whether a token has a whole breaker in it.
  bool is_in(int32_t token) const;

 private:
  std::string_view bytes_of(int32_t token) const;

  std::vector<std::string> breakers_;
  std::shared_ptr<const TokenizerTables> vocabulary_;
  size_t longest_ = 0;
  std::string end_;  // of the text: as many bytes as can be the beginning of a breaker
  size_t n_since_ = 0;
};

}  // namespace gpt2edge
