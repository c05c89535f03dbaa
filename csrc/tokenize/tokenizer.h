// GPT-2's tokenizer: text to token ids and back.
//
// Added tokens are found first. Text between them is cut into pieces (pieces.h), and the bytes of
// each piece are merged (formats/pair_merger.h). The ids are those of OpenAI's own encoder.
// Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.2.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/pair_merger.h"
#include "formats/token_ids.h"
#include "formats/tokenizer_tables.h"
#include "tokenize/added_tokens.h"

namespace gpt2edge {

// Several threads may use one. To make it takes a few milliseconds.
class Tokenizer {
 public:
  // Turns text in whole characters into tokens, by another rule than GPT-2's.
  using OtherRule = std::function<std::vector<int32_t>(std::string_view utf8, bool allow_special)>;

  // `rule` is asked where the tables have another rule than GPT-2's.
  explicit Tokenizer(std::shared_ptr<const TokenizerTables> tables, OtherRule rule = {});

  const std::shared_ptr<const TokenizerTables>& tables() const { return tables_; }

  // The token ids of a text; none for an empty one. What is not UTF-8 counts as repaired_utf8 has
  // it. The text of special tokens, such as "<|endoftext|>", is plain text unless `allow_special`,
  // so that text from strangers cannot end a document; other added tokens are always found. Throws
  // std::invalid_argument for a byte that the vocabulary has no token for: only vocabularies that
  // were cut down lack any; UnsupportedError where text is cut by a rule that is not there.
  std::vector<int32_t> encode(std::string_view utf8, bool allow_special = false) const;

  // The tokens of any bytes, UTF-8 or not, from which `decode` gives the same bytes: what is not
  // UTF-8 becomes tokens of single bytes, the rest those of `encode`. Nothing where the vocabulary
  // lacks a token for one of the bytes. Throws UnsupportedError for a rule other than GPT-2's, by
  // which not all bytes come back.
  std::optional<std::vector<int32_t>> encode_bytes(std::string_view bytes) const;

  // The bytes of a text's tokens, which need not be whole characters. Throws std::invalid_argument
  // for an id that is no token.
  std::string decode(std::span<const int32_t> tokens) const;

 private:
  void encode_plain(std::string_view text, PairMerger& merger, std::vector<int32_t>& out) const;
  void encode_piece(std::string_view piece, PairMerger& merger, std::vector<int32_t>& out) const;
  // The first byte that the vocabulary lacks; npos for none.
  size_t find_unknown(std::string_view bytes) const;
  void require_tokens(std::string_view text) const;
  int32_t token_of(char byte) const { return byte_ids_[static_cast<unsigned char>(byte)]; }

  const std::shared_ptr<const TokenizerTables> tables_;
  const OtherRule other_rule_;
  std::array<int32_t, 256> byte_ids_;  // -1 where there is no token
  bool lacks_bytes_;
  TokenIds<TokenTexts> whole_pieces_;  // those that merges make
  AddedTokens special_;
  AddedTokens added_;  // the others
};

}  // namespace gpt2edge
