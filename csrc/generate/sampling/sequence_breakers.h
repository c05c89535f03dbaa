// Strings at which DRY's matching of repetitions stops, such as a newline.
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

  // Adds a token to the text. A breaker may begin in one token and end in another.
  void accept(int32_t token);
  void clear();

  // The number of tokens after the last one in which a breaker ends.
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
