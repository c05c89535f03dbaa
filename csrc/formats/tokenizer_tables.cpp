#include "formats/tokenizer_tables.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <stdexcept>

#include "base/error.h"
#include "formats/reachable_merges.h"
#include "formats/token_ids.h"

namespace gpt2edge {
namespace {

constexpr int32_t kNoToken = -1;
constexpr size_t kBytes = 256;
constexpr unsigned kNoCode = 0;  // U+0000, which is not in the alphabet
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

// GPT-2's characters for bytes. Printable Latin-1 characters stand for themselves and come first;
// the other bytes follow in order, as the characters from U+0100 on.
struct Alphabet {
  std::array<uint8_t, kBytes> byte_at{};    // place in the alphabet -> byte
  std::array<uint16_t, kBytes> code_at{};   // place in the alphabet -> code point
  std::array<int16_t, 2 * kBytes> place{};  // code point -> place in the alphabet, or kNoToken

  Alphabet() {
    place.fill(kNoToken);
    size_t n = 0;
    const auto add = [&](size_t byte, size_t code) {
      byte_at[n] = static_cast<uint8_t>(byte);
      code_at[n] = static_cast<uint16_t>(code);
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

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

std::string utf8(unsigned code) {  // for code points below U+0800
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// Appends the places in the alphabet of a token's characters. Appends nothing and returns false
// when one of them is not in the alphabet.
bool append_places(std::string_view token, std::vector<uint8_t>& places) {
  const size_t n_before = places.size();
  for (size_t i = 0; i < token.size(); ++i) {
    unsigned code = static_cast<uint8_t>(token[i]);
    if (code >= 0x80 && i + 1 < token.size()) {  // the alphabet ends at U+0143: two bytes at most
      const unsigned next = static_cast<uint8_t>(token[++i]);
      const bool is_pair = code >= 0xC2 && code <= 0xC7 && next >> 6 == 2;
      code = is_pair ? (code & 0x1F) << 6 | (next & 0x3F) : kNoCode;
    } else if (code >= 0x80) {
      code = kNoCode;
    }
    if (alphabet().place[code] == kNoToken) {
      places.resize(n_before);
      return false;
    }
    places.push_back(static_cast<uint8_t>(alphabet().place[code]));
  }
  return true;
}

// Builds the tables step by step; every message begins with the file's name.
class Builder {
 public:
  explicit Builder(const TokenizerSource& source) : source_(source), ids_(source.tokens) {}

  TokenizerTables build() {
    tables_.path = source_.path;
    read_types();
    read_tokens();
    read_alphabet();
    read_merges();
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
    first_place_.reserve(n + 1);
    first_place_.push_back(0);
    tables_.token_bytes.reserve(n);
    for (size_t i = 0; i < n; ++i) {
      const std::string_view text = source_.tokens[i];
      if (text.empty()) fail(kTokens, "[", i, "] is empty");
      const auto id = static_cast<int32_t>(i);
      const int32_t same = ids_.add(id);
      if (same != id) fail(kTokens, "[", i, "] is the same as token ", same);
      const bool is_spelled =
          append_places(text, places_) && tables_.token_types[i] == kNormalToken;
      first_place_.push_back(places_.size());
      tables_.token_bytes.push_back(is_spelled ? bytes_of(id) : std::string(text));
      has_long_tokens_ |= is_spelled && places_of(id).size() > 1;
    }
  }

  // The places in the alphabet of a token's characters; none when it is not spelled in it.
  std::span<const uint8_t> places_of(int32_t token) const {
    const auto i = static_cast<size_t>(token);
    return std::span(places_).subspan(first_place_[i], first_place_[i + 1] - first_place_[i]);
  }

  std::string bytes_of(int32_t token) const {
    std::string bytes;
    for (const uint8_t place : places_of(token)) {
      bytes.push_back(static_cast<char>(alphabet().byte_at[place]));
    }
    return bytes;
  }

  void read_alphabet() {
    for (size_t i = 0; i < kBytes; ++i) {
      tables_.ranked_ids.push_back(ids_.find(utf8(alphabet().code_at[i])));
    }
  }

  void read_merges() {
    const size_t n = source_.merges.size();
    if (n == 0 && has_long_tokens_) {
      fail("there is no ", kMerges, ", and without it text cannot be encoded");
    }
    if (n > std::numeric_limits<int32_t>::max()) fail(kMerges, " has ", n, " merges, too many");
    MergeTable& merges = tables_.merges = MergeTable(n);
    for (size_t i = 0; i < n; ++i) {
      const int32_t same = merges.add(read_merge(i));
      if (same != MergeTable::kNone) fail(kMerges, "[", i, "] is the same as merge ", same);
    }
    const auto spell = [this](int32_t token, auto& symbols) { byte_tokens(token, symbols); };
    for (const int32_t number : reachable_merges(merges, spell)) {
      tables_.ranked_ids.push_back(merges[number].result);
    }
  }

  Merge read_merge(size_t index) {
    const std::string_view text = source_.merges[index];
    const size_t space = text.find(' ');
    if (space == 0 || space >= text.size() - 1 || text.find(' ', space + 1) != text.npos) {
      fail(kMerges, "[", index, "] is not two tokens with a space between");
    }
    const std::string_view left = text.substr(0, space);
    const std::string_view right = text.substr(space + 1);
    joined_.assign(left).append(right);
    const int32_t result = result_id(index);
    if (places_of(result).empty()) {
      fail(kMerges, "[", index, "] is not spelled in GPT-2's byte alphabet");
    }
    return {known_id(left, index), known_id(right, index), result};
  }

  // The id of joined_. Trained vocabularies number results in the order of the merges.
  int32_t result_id(size_t merge) {
    const auto next = static_cast<size_t>(last_result_) + 1;
    const bool is_next = next < source_.tokens.size() && source_.tokens[next] == joined_;
    return last_result_ = is_next ? static_cast<int32_t>(next) : known_id(joined_, merge);
  }

  int32_t known_id(std::string_view token, size_t merge) const {
    const int32_t found = ids_.find(token);
    if (found == kNoToken) {
      fail(kMerges, "[", merge, "] uses or makes a token that is not in ", kTokens);
    }
    return found;
  }

  // The single-byte tokens that a token's text starts as; none when the vocabulary lacks one.
  void byte_tokens(int32_t token, std::vector<int32_t>& symbols) const {
    symbols.clear();
    for (const uint8_t place : places_of(token)) {
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
  TokenIds<std::vector<std::string_view>> ids_;
  std::vector<uint8_t> places_;      // of all tokens' characters in the alphabet
  std::vector<size_t> first_place_;  // in places_, by token id, and the end
  std::string joined_;               // what the merge at hand makes
  int32_t last_result_ = 0;
  bool has_long_tokens_ = false;
};

void require_text(const GgufFile& file, const char* key, std::initializer_list<const char*> known,
                  const char* expected) {
  const std::string_view found = file.get_string(key);
  if (std::find(known.begin(), known.end(), found) != known.end()) return;
  std::string shown(found.substr(0, 40));
  for (char& c : shown) c = c < 0x20 || c > 0x7E ? '?' : c;
  throw UnsupportedError(message(file.path(), ": ", key, " is \"", shown, "\", expected ", expected,
                                 ": only GPT-2's pre-tokenizer is supported"));
}

std::optional<int64_t> optional_id(const GgufFile& file, const char* key) {
  if (file.find(key) == nullptr) return std::nullopt;
  return file.get_u32(key);
}

}  // namespace

std::string_view token_bytes(const TokenizerTables& tables, int32_t token) {
  const auto& all = tables.token_bytes;
  if (token < 0 || static_cast<size_t>(token) >= all.size()) {
    throw std::invalid_argument(
        message("there is no token ", token, "; ids are 0 to ", all.size() - 1));
  }
  return all[static_cast<size_t>(token)];
}

std::string ranked_bytes(const TokenizerTables& tables, size_t rank) {
  if (rank < kBytes) return {static_cast<char>(alphabet().byte_at[rank])};
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
  require_text(file, "tokenizer.ggml.model", {"gpt2"}, "\"gpt2\"");
  if (file.find("tokenizer.ggml.pre") != nullptr) {
    require_text(file, "tokenizer.ggml.pre", {"gpt-2", "default"}, "\"gpt-2\" or \"default\"");
  }
  TokenizerSource source;
  source.path = file.path();
  source.tokens = file.get_strings(kTokens);
  if (file.find(kTypes) != nullptr) source.token_types = file.get_integers(kTypes);
  if (file.find(kMerges) != nullptr) source.merges = file.get_strings(kMerges);
  source.bos_token = optional_id(file, "tokenizer.ggml.bos_token_id");
  source.eos_token = optional_id(file, "tokenizer.ggml.eos_token_id");
  return make_tokenizer_tables(source);
}

}  // namespace gpt2edge
