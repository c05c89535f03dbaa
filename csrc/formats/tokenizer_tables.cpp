#include "formats/tokenizer_tables.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "formats/reachable_merges.h"
#include "formats/token_ids.h"

namespace gpt2edge {
namespace {

constexpr size_t kBytes = 256;
constexpr unsigned kNoCode = 0;  // U+0000, which is not in the alphabet
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kHuggingFace = "tokenizer.huggingface.json";

// GPT-2's characters for bytes. Printable Latin-1 characters stand for themselves and come first;
// the other bytes follow in order, as the characters from U+0100 on.
struct Alphabet {
  std::array<char, kBytes> byte_at{};       // place in the alphabet -> byte
  std::array<uint16_t, kBytes> code_at{};   // place in the alphabet -> code point
  std::array<uint8_t, kBytes> place_of{};   // byte -> place in the alphabet
  std::array<int16_t, 2 * kBytes> place{};  // code point -> place in the alphabet, or kNoToken

  constexpr Alphabet() {
    place.fill(kNoToken);
    size_t n = 0;
    const auto add = [&](size_t byte, size_t code) {
      byte_at[n] = static_cast<char>(byte);
      code_at[n] = static_cast<uint16_t>(code);
      place_of[byte] = static_cast<uint8_t>(n);
      place[code] = static_cast<int16_t>(n++);
    };
    const auto is_printable = [](size_t byte) {
      return (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    };
    for (size_t byte = 0; byte < kBytes; ++byte) {
      if (is_printable(byte)) add(byte, byte);
    }
    size_t next_code = kBytes;
    for (size_t byte = 0; byte < kBytes; ++byte) {
      if (!is_printable(byte)) add(byte, next_code++);
    }
  }
};

constexpr Alphabet kAlphabet;

std::string utf8(unsigned code) {  // for code points below U+0800
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// The bytes that a token's characters stand for. False when one of them is not in the alphabet.
bool read_spelling(std::string_view token, std::string& bytes) {
  bytes.resize(token.size());
  size_t n = 0;
  for (size_t i = 0; i < token.size(); ++i) {
    unsigned code = static_cast<uint8_t>(token[i]);
    if (code >= 0x80 && i + 1 < token.size()) {  // the alphabet ends at U+0143: two bytes at most
      const unsigned next = static_cast<uint8_t>(token[++i]);
      const bool is_pair = code >= 0xC2 && code <= 0xC7 && next >> 6 == 2;
      code = is_pair ? (code & 0x1F) << 6 | (next & 0x3F) : kNoCode;
    } else if (code >= 0x80) {
      code = kNoCode;
    }
    const int16_t place = kAlphabet.place[code];
    if (place == kNoToken) return false;
    bytes[n++] = kAlphabet.byte_at[static_cast<size_t>(place)];
  }
  bytes.resize(n);
  return true;
}

using Ids = TokenIds<std::vector<std::string_view>>;

// Two tokens that are merged.
struct Pair {
  Ids::Key left;
  Ids::Key right;
};
constexpr size_t kGroup = 16;

// Builds the tables step by step; every message begins with the file's name.
class Builder {
 public:
  explicit Builder(const TokenizerSource& source) : source_(source), ids_(source.tokens) {}

  TokenizerTables build() {
    tables_.path = source_.path;
    tables_.other_rule = source_.other_rule;
    tables_.hidden_spaces = source_.hidden_spaces;
    read_types();
    if (source_.spelling != Spelling::kByteAlphabet) {
      read_pieces();
    } else {
      read_tokens();
    }
    if (source_.other_rule.empty()) {
      read_alphabet();
      read_merges();
    }
    tables_.bos_token = checked_id("tokenizer.ggml.bos_token_id", source_.bos_token);
    tables_.eos_token = checked_id("tokenizer.ggml.eos_token_id", source_.eos_token);
    return std::move(tables_);
  }

 private:
  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw FormatError(message(source_.path, ": ", parts..., ": convert the model again"));
  }

  void read_types() {
    const size_t n = source_.tokens.size();
    const auto& types = source_.token_types;
    if (n == 0) fail(kTokens, " is empty, expected the vocabulary");
    if (n > std::numeric_limits<int32_t>::max()) fail(kTokens, " has ", n, " tokens, too many");
    if (!types.empty() && types.size() != n) {
      fail(kTypes, " has ", types.size(), " entries for ", n, " tokens");
    }
    tables_.token_types.assign(n, kNormalToken);
    for (size_t i = 0; i < types.size(); ++i) {
      if (types[i] < 0 || types[i] > 100) fail(kTypes, "[", i, "] is ", types[i], ", no type");
      tables_.token_types[i] = static_cast<int32_t>(types[i]);
    }
  }

  void read_tokens() {
    const size_t n = source_.tokens.size();
    size_t n_bytes = 0;
    for (const std::string_view text : source_.tokens) n_bytes += text.size();
    tables_.token_bytes.reserve(n, n_bytes);
    is_spelled_.reserve(n);
    for (size_t i = 0; i < n; ++i) {
      const std::string_view text = source_.tokens[i];
      if (text.empty()) fail(kTokens, "[", i, "] is empty");
      const auto id = static_cast<int32_t>(i);
      const int32_t same = ids_.add(id);
      if (same != id) fail(kTokens, "[", i, "] is the same as token ", same);
      is_spelled_.push_back(read_spelling(text, spelled_));
      const bool is_merged = is_spelled_[i] != 0 && tables_.token_types[i] == kNormalToken;
      tables_.token_bytes.push_back(is_merged ? spelled_ : text);
      has_long_tokens_ |= is_merged && spelled_.size() > 1;
    }
  }

  // No look-up needs them, so that two may be the same.
  void read_pieces() {
    for (size_t i = 0; i < source_.tokens.size(); ++i) {
      const std::string_view token = source_.tokens[i];
      tables_.token_bytes.push_back(source_.spelling == Spelling::kWordPieces
                                        ? text_of_word_piece(token)
                                        : bytes_of_sentence_piece(token, tables_.token_types[i]));
    }
  }

  void read_alphabet() {
    for (size_t i = 0; i < kBytes; ++i) {
      tables_.ranked_ids.push_back(ids_.find(utf8(kAlphabet.code_at[i])));
    }
  }

  void read_merges() {
    const size_t n = source_.merges.size();
    if (n == 0 && has_long_tokens_) {
      fail("there is no ", kMerges, ", and without it text cannot be encoded");
    }
    if (n > std::numeric_limits<int32_t>::max()) fail(kMerges, " has ", n, " merges, too many");
    tables_.merges = MergeTable(n);
    for (size_t i = 0; i < n; i += kGroup) read_group(i, std::min(n, i + kGroup));
    const auto spell = [this](int32_t token, auto& symbols) { spell_in_bytes(token, symbols); };
    const auto bytes = std::vector(tables_.ranked_ids);
    for (const int32_t number : reachable_merges(tables_.merges, bytes, spell)) {
      tables_.ranked_ids.push_back(tables_.merges[number].result);
    }
  }

  // Some merges at a time: where tokens and pairs lie in memory is known before they are needed.
  void read_group(size_t start, size_t end) {
    std::array<Pair, kGroup> pairs;
    std::array<Merge, kGroup> merges;
    for (size_t i = start; i < end; ++i) pairs[i - start] = read_pair(i);
    for (size_t i = start; i < end; ++i) {
      merges[i - start] = merge_of(pairs[i - start], i);
      tables_.merges.prepare(merges[i - start]);
    }
    for (size_t i = start; i < end; ++i) {
      const int32_t same = tables_.merges.add(merges[i - start]);
      if (same != MergeTable::kNone) fail(kMerges, "[", i, "] is the same as merge ", same);
    }
  }

  Pair read_pair(size_t index) const {
    const std::string_view text = source_.merges[index];
    const size_t space = text.find(' ');
    if (space == 0 || space >= text.size() - 1 || text.find(' ', space + 1) != text.npos) {
      fail(kMerges, "[", index, "] is not two tokens with a space between");
    }
    return {ids_.prepared(text.substr(0, space)), ids_.prepared(text.substr(space + 1))};
  }

  Merge merge_of(const Pair& pair, size_t index) {
    last_result_ = result_of(pair, index);
    if (is_spelled_[static_cast<size_t>(last_result_)] == 0) {
      fail(kMerges, "[", index, "] is not spelled in GPT-2's byte alphabet");
    }
    return {known(ids_.find(pair.left), index), known(ids_.find(pair.right), index), last_result_};
  }

  // Trained vocabularies number results in the order of the merges.
  int32_t result_of(const Pair& pair, size_t index) {
    const std::string_view left = pair.left.text, right = pair.right.text;
    const auto next = static_cast<size_t>(last_result_) + 1;
    if (next < source_.tokens.size()) {
      const std::string_view text = source_.tokens[next];
      const bool is_as_long = text.size() == left.size() + right.size();
      if (is_as_long && text.starts_with(left) && text.ends_with(right)) {
        return static_cast<int32_t>(next);
      }
    }
    return known(ids_.find(std::string(left).append(right)), index);
  }

  int32_t known(int32_t token, size_t merge) const {
    if (token == kNoToken) {
      fail(kMerges, "[", merge, "] uses or makes a token that is not in ", kTokens);
    }
    return token;
  }

  // The single-byte tokens that a token's text starts as; none when the vocabulary lacks one.
  void spell_in_bytes(int32_t token, std::vector<int32_t>& symbols) {
    symbols.clear();
    read_spelling(source_.tokens[static_cast<size_t>(token)], spelled_);
    for (const char byte : spelled_) {
      const uint8_t place = kAlphabet.place_of[static_cast<uint8_t>(byte)];
      symbols.push_back(tables_.ranked_ids[place]);
      if (symbols.back() == kNoToken) return symbols.clear();
    }
  }

  std::optional<int32_t> checked_id(const char* key, const std::optional<int64_t>& id) const {
    if (!id) return std::nullopt;
    if (*id < 0 || static_cast<uint64_t>(*id) >= source_.tokens.size()) {
      fail(key, " is ", *id, ", but there are ", source_.tokens.size(), " tokens");
    }
    return static_cast<int32_t>(*id);
  }

  const TokenizerSource& source_;
  TokenizerTables tables_;
  Ids ids_;
  std::vector<char> is_spelled_;  // in the alphabet, by token id
  std::string spelled_;           // the bytes of the token at hand
  int32_t last_result_ = 0;       // of the merges so far
  bool has_long_tokens_ = false;
};

// A text of the file's, as a message may show it.
std::string shown(std::string_view text) {
  std::string part(text.substr(0, 40));
  for (char& c : part) c = c < 0x20 || c > 0x7E ? '?' : c;
  return part;
}

bool flag(const GgufFile& file, const char* key, bool otherwise) {
  const GgufValue* value = file.find(key);
  const bool* found = value == nullptr ? nullptr : std::get_if<bool>(value);
  return found == nullptr ? otherwise : *found;
}

// What a text of SentencePiece's begins with and is not its own.
size_t hidden_spaces(const GgufFile& file, bool is_unigram) {
  if (!flag(file, "tokenizer.ggml.add_space_prefix", true)) return 0;
  const bool is_stripped = flag(file, "tokenizer.ggml.remove_extra_whitespaces", is_unigram);
  return is_stripped ? std::numeric_limits<size_t>::max() : 1;
}

void read_rule(const GgufFile& file, TokenizerSource& source) {
  const std::string_view model = file.get_string(kModel);
  const bool is_described = file.find(kHuggingFace) != nullptr;
  if (model == "gpt2") {
    const std::string_view pre = file.find(kPre) == nullptr ? "default" : file.get_string(kPre);
    const bool is_gpt2s = pre == "gpt-2" || pre == "default";
    if (!is_gpt2s || is_described) source.other_rule = message(kPre, " is \"", shown(pre), '"');
    return;
  }
  source.other_rule = message(kModel, " is \"", shown(model), '"');
  if (model == "bert") {
    source.spelling = Spelling::kWordPieces;
    source.hidden_spaces = 1;
  } else if (model == "t5" || model == "llama") {
    source.spelling = Spelling::kSentencePieces;
    source.hidden_spaces = hidden_spaces(file, model == "t5");
  } else {
    throw UnsupportedError(message(file.path(), ": ", source.other_rule,
                                   ", expected \"gpt2\", \"bert\", \"t5\" or \"llama\""));
  }
}

std::optional<int64_t> optional_id(const GgufFile& file, const char* key) {
  if (file.find(key) == nullptr) return std::nullopt;
  return file.get_u32(key);
}

TokenizerSource tokenizer_source(const GgufFile& file) {
  TokenizerSource source;
  source.path = file.path();
  read_rule(file, source);
  source.tokens = file.get_strings(kTokens);
  if (file.find(kTypes) != nullptr) source.token_types = file.get_integers(kTypes);
  if (file.find(kMerges) != nullptr) source.merges = file.get_strings(kMerges);
  source.bos_token = optional_id(file, "tokenizer.ggml.bos_token_id");
  source.eos_token = optional_id(file, "tokenizer.ggml.eos_token_id");
  return source;
}

}  // namespace

void require_gpt2_rule(const TokenizerTables& tables, const char* what, const char* advice) {
  if (tables.other_rule.empty()) return;
  throw UnsupportedError(message(tables.path, ": ", tables.other_rule, ", and to ", what,
                                 " takes GPT-2's own tokenizer: ", advice));
}

std::string_view token_bytes(const TokenizerTables& tables, int32_t token) {
  const auto& all = tables.token_bytes;
  if (token < 0 || static_cast<size_t>(token) >= all.size()) {
    throw std::invalid_argument(
        message("there is no token ", token, "; ids are 0 to ", all.size() - 1));
  }
  return all[static_cast<size_t>(token)];
}

std::string spelled(const TokenizerTables& tables, std::span<const int32_t> tokens) {
  std::string bytes;
  for (const int32_t token : tokens) bytes += token_bytes(tables, token);
  return bytes;
}

std::string_view ranked_bytes(const TokenizerTables& tables, size_t rank) {
  if (rank < kBytes) return {&kAlphabet.byte_at[rank], 1};
  return tables.token_bytes[static_cast<size_t>(tables.ranked_ids[rank])];
}

bool is_special_token(const TokenizerTables& tables, int32_t token) {
  return tables.token_types[static_cast<size_t>(token)] == kControlToken ||
         token == tables.bos_token || token == tables.eos_token;
}

int32_t start_token(const TokenizerTables& tables) {
  const auto& token = tables.bos_token ? tables.bos_token : tables.eos_token;
  if (!token) {
    throw UnsupportedError(message(tables.path,
                                   ": there is no tokenizer.ggml.bos_token_id to start an empty "
                                   "text with: give a prompt"));
  }
  return *token;
}

TokenizerTables make_tokenizer_tables(const TokenizerSource& source) {
  return Builder(source).build();
}

TokenizerTables read_tokenizer_tables(const GgufFile& file) {
  return file.checked([&file] { return make_tokenizer_tables(tokenizer_source(file)); });
}

}  // namespace gpt2edge
