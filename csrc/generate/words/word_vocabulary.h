// Which tokens go on with a word.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lru_cache.h"
#include "formats/tokenizer_tables.h"

namespace gpt2edge {

// The tokens of a vocabulary in the order of their bytes, and of their ids where bytes are equal.
// Control tokens, such as end-of-text, are not among them. One thread at a time may use it.
class WordVocabulary {
 public:
  using Tokens = std::vector<int32_t>;

  explicit WordVocabulary(std::shared_ptr<const TokenizerTables> tables);

  // The bytes of a token. Throws std::invalid_argument for an id that is none.
  std::string_view text(int32_t token) const;

  // The tokens that begin so; `data` is not empty.
  std::span<const int32_t> beginning_with(std::string_view data) const;

  // The tokens that `data` begins with and that are shorter, the shortest first.
  Tokens proper_beginnings(std::string_view data) const;

  // The tokens after which the word that `data` begins goes on, may go on or is longer. `data` may
  // be empty; with `may_space`, a space may then come before the word.
  std::shared_ptr<const Tokens> continuing(std::string_view data, bool may_space);

 private:
  Tokens find_continuing(std::string_view data, bool may_space) const;

  std::shared_ptr<const TokenizerTables> tables_;
  Tokens tokens_;
  std::array<size_t, 257> first_with_byte_{};  // places in tokens_, and the end
  LruCache<std::pair<std::string, bool>, std::shared_ptr<const Tokens>> cache_;
};

}  // namespace gpt2edge
