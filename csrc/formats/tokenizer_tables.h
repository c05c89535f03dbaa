// The vocabulary of a GPT-2 model: what bytes each token stands for, and how text becomes tokens.
//
// GPT-2 spells its tokens in a printable alphabet, one character for each of the 256 bytes (a space
// is "Ġ"). Added tokens, special ones among them, are plain text. Everything that comes from a file
// is checked here, so that later no lookup can fail. Of vocabularies that are cut by another rule
// than GPT-2's, only the tokens' bytes are read (token_spelling.h).
// Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.2.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "formats/merge_table.h"
#include "formats/token_spelling.h"
#include "formats/token_texts.h"

namespace gpt2edge {

// GGUF's numbers for kinds of tokens. Others exist, and are treated as unused.
enum TokenType : int32_t { kNormalToken = 1, kControlToken = 3, kUserDefinedToken = 4 };

// A vocabulary as files hold it. The strings view the file.
struct TokenizerSource {
  std::string path;  // for messages
  std::vector<std::string_view> tokens;
  std::vector<int64_t> token_types;      // empty: all are normal
  std::vector<std::string_view> merges;  // "left right", in order of priority
  std::optional<int64_t> bos_token;
  std::optional<int64_t> eos_token;
  // Text is cut by another rule than GPT-2's: which one, for messages.
  std::string other_rule;
  Spelling spelling = Spelling::kByteAlphabet;
  size_t hidden_spaces = 0;
};

struct TokenizerTables {
  std::string path;                  // for messages
  std::string other_rule;            // by which text is cut; empty for GPT-2's
  TokenTexts token_bytes;            // by token id
  std::vector<int32_t> token_types;  // by token id

  MergeTable merges;
  // What merges may make, in order of priority: the tokens of GPT-2's byte alphabet first, -1 for a
  // byte that the vocabulary lacks, then what each merge gives. With the official vocabulary, the
  // n-th is n.
  std::vector<int32_t> ranked_ids;

  // So many spaces that a text's first token begins with are not part of the text, at most.
  size_t hidden_spaces = 0;

  std::optional<int32_t> bos_token;
  std::optional<int32_t> eos_token;
};

// Throws UnsupportedError, naming the file, for a rule other than GPT-2's. `what` ("encode text")
// takes that one, and `advice` is what to do.
void require_gpt2_rule(const TokenizerTables& tables, const char* what, const char* advice);

// The bytes of a token. Throws std::invalid_argument for an id that is none.
std::string_view token_bytes(const TokenizerTables& tables, int32_t token);
// The same of tokens, one behind another.
std::string spelled(const TokenizerTables& tables, std::span<const int32_t> tokens);

// The bytes of entry `rank` of ranked_ids, be there a token for them or not.
std::string_view ranked_bytes(const TokenizerTables& tables, size_t rank);

// Whether a token stands for no text: what begins or ends a document, and other control tokens.
bool is_special_token(const TokenizerTables& tables, int32_t token);

// The token that an empty prompt is replaced by: BOS, else EOS. Throws UnsupportedError, naming the
// file, where there is neither.
int32_t start_token(const TokenizerTables& tables);

// Throw FormatError, naming the file, the key and the index, for tables that contradict themselves.
TokenizerTables make_tokenizer_tables(const TokenizerSource& source);
// Also throws UnsupportedError for a kind of tokenizer that is not known.
TokenizerTables read_tokenizer_tables(const GgufFile& file);

}  // namespace gpt2edge
