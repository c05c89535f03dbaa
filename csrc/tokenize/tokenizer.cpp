#include "tokenize/tokenizer.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "tokenize/pieces.h"
#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

constexpr size_t kUsualPiece = 4;  // bytes of a token of English text

std::array<int32_t, 256> ids_of_bytes(const TokenizerTables& tables) {
  std::array<int32_t, 256> ids;
  ids.fill(kNoToken);
  const size_t n = std::min(ids.size(), tables.ranked_ids.size());
  for (size_t i = 0; i < n; ++i) {
    ids[static_cast<unsigned char>(ranked_bytes(tables, i)[0])] = tables.ranked_ids[i];
  }
  return ids;
}

// Special tokens, or the other added ones.
AddedTokens added_tokens(const TokenizerTables& tables, bool special) {
  std::vector<std::pair<std::string_view, int32_t>> tokens;
  const auto n_tokens = static_cast<int32_t>(tables.token_bytes.size());
  for (int32_t token = 0; token < n_tokens; ++token) {
    const bool is_special = is_special_token(tables, token);
    const bool is_added = tables.token_types[static_cast<size_t>(token)] == kUserDefinedToken;
    if (special ? is_special : is_added && !is_special) {
      tokens.emplace_back(token_bytes(tables, token), token);
    }
  }
  return AddedTokens(std::move(tokens));
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerTables> tables, OtherRule rule)
    : tables_(std::move(tables)),
      other_rule_(std::move(rule)),
      byte_ids_(ids_of_bytes(*tables_)),
      lacks_bytes_(std::find(byte_ids_.begin(), byte_ids_.end(), kNoToken) != byte_ids_.end()),
      whole_pieces_(tables_->token_bytes),
      special_(added_tokens(*tables_, true)),
      added_(added_tokens(*tables_, false)) {
  for (const int32_t id : tables_->ranked_ids) {
    if (id != kNoToken) whole_pieces_.add(id);
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view utf8, bool allow_special) const {
  const std::optional<std::string> repaired = repaired_utf8(utf8);
  const std::string_view text = repaired ? *repaired : utf8;
  if (other_rule_ && !tables_->other_rule.empty()) return other_rule_(text, allow_special);
  require_gpt2_rule(*tables_, "encode text",
                    "give token ids, or use the Python package with its \"tokenizers\" extra");
  std::vector<int32_t> out;
  out.reserve(text.size() / kUsualPiece);
  PairMerger merger(tables_->merges);
  const auto on_token = [&](int32_t id) { out.push_back(id); };
  const auto on_plain = [&](std::string_view part) { encode_plain(part, merger, out); };
  const auto on_part = [&](std::string_view part) { added_.split(part, on_plain, on_token); };
  if (allow_special) {
    special_.split(text, on_part, on_token);
  } else {
    on_part(text);
  }
  return out;
}

std::optional<std::vector<int32_t>> Tokenizer::encode_bytes(std::string_view bytes) const {
  require_gpt2_rule(*tables_, "compress", "use a model with that tokenizer");
  if (find_unknown(bytes) != std::string_view::npos) return std::nullopt;
  std::vector<int32_t> out;
  while (!bytes.empty()) {
    const size_t n_text = valid_utf8_length(bytes);
    const std::vector<int32_t> tokens = encode(bytes.substr(0, n_text));
    out.insert(out.end(), tokens.begin(), tokens.end());
    bytes.remove_prefix(n_text);
    if (bytes.empty()) break;
    const size_t n_others = first_character(bytes).length;
    for (const char byte : bytes.substr(0, n_others)) out.push_back(token_of(byte));
    bytes.remove_prefix(n_others);
  }
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> tokens) const {
  std::string out = spelled(*tables_, tokens);
  const std::string_view first = tokens.empty() ? "" : token_bytes(*tables_, tokens[0]);
  const size_t n_spaces = std::min(first.find_first_not_of(' '), first.size());
  out.erase(0, std::min(n_spaces, tables_->hidden_spaces));
  return out;
}

void Tokenizer::encode_plain(std::string_view text, PairMerger& merger,
                             std::vector<int32_t>& out) const {
  require_tokens(text);
  while (!text.empty()) {
    const size_t length = first_piece(text);
    encode_piece(text.substr(0, length), merger, out);
    text.remove_prefix(length);
  }
}

void Tokenizer::encode_piece(std::string_view piece, PairMerger& merger,
                             std::vector<int32_t>& out) const {
  const int32_t whole = whole_pieces_.find(piece);  // most are
  if (whole != kNoToken) {
    out.push_back(whole);
    return;
  }
  std::vector<int32_t>& symbols = merger.symbols();
  symbols.clear();
  for (const char byte : piece) symbols.push_back(token_of(byte));
  merger.merge_all();
  out.insert(out.end(), symbols.begin(), symbols.end());
}

size_t Tokenizer::find_unknown(std::string_view bytes) const {
  if (!lacks_bytes_) return std::string_view::npos;
  const auto found = std::find_if(bytes.begin(), bytes.end(),
                                  [this](char byte) { return token_of(byte) == kNoToken; });
  return found == bytes.end() ? std::string_view::npos : static_cast<size_t>(found - bytes.begin());
}

void Tokenizer::require_tokens(std::string_view text) const {
  const size_t at = find_unknown(text);
  if (at == std::string_view::npos) return;
  const std::string_view digits = "0123456789ABCDEF";
  const auto number = static_cast<unsigned char>(text[at]);
  throw std::invalid_argument(message("the model's vocabulary has no token for the byte 0x",
                                      digits[number / 16], digits[number % 16]));
}

}  // namespace gpt2edge
