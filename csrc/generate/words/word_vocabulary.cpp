#include "generate/words/word_vocabulary.h"

#include <algorithm>

#include "generate/words/word.h"
#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

constexpr size_t kMaxCachedLists = 64;

unsigned first_byte(std::string_view text) { return static_cast<unsigned char>(text.front()); }

// What a word may begin or go on with, or the space before it.
bool may_begin(unsigned byte, bool may_space) {
  if (byte == ' ') return may_space;
  const char as_char = static_cast<char>(byte);
  return byte >= 0x80 || byte == '\'' || is_plain_word({&as_char, 1});
}

}  // namespace

WordVocabulary::WordVocabulary(std::shared_ptr<const TokenizerTables> tables)
    : tables_(std::move(tables)) {
  const auto n_tokens = static_cast<int32_t>(tables_->token_bytes.size());
  for (int32_t token = 0; token < n_tokens; ++token) {
    if (!text(token).empty() && !is_special_token(*tables_, token)) tokens_.push_back(token);
  }
  std::sort(tokens_.begin(), tokens_.end(), [this](int32_t a, int32_t b) {
    const int order = text(a).compare(text(b));
    return order != 0 ? order < 0 : a < b;
  });
  for (const int32_t token : tokens_) ++first_with_byte_[first_byte(text(token)) + 1];
  for (size_t byte = 1; byte < first_with_byte_.size(); ++byte) {
    first_with_byte_[byte] += first_with_byte_[byte - 1];
  }
  // Soon needed, and the ones that take long.
  continuing("", true);
  continuing("", false);
  continuing("a'", false);
  continuing("a", false);
}

std::string_view WordVocabulary::text(int32_t token) const { return token_bytes(*tables_, token); }

std::span<const int32_t> WordVocabulary::beginning_with(std::string_view data) const {
  const auto begins = [&](int32_t token) { return text(token).substr(0, data.size()); };
  const auto first = std::partition_point(tokens_.begin(), tokens_.end(),
                                          [&](int32_t token) { return text(token) < data; });
  const auto end = std::partition_point(first, tokens_.end(),
                                        [&](int32_t token) { return begins(token) == data; });
  return {first, end};
}

WordVocabulary::Tokens WordVocabulary::proper_beginnings(std::string_view data) const {
  Tokens found;
  for (size_t n = 1; n < data.size(); ++n) {
    for (const int32_t token : beginning_with(data.substr(0, n))) {
      if (text(token).size() > n) break;  // in order, the shortest come first
      found.push_back(token);
    }
  }
  return found;
}

std::shared_ptr<const WordVocabulary::Tokens> WordVocabulary::continuing(std::string_view data,
                                                                         bool may_space) {
  // All that counts is whether there is a word, and what may be of it or not.
  const size_t n = read_word(data).n;
  std::string what_counts(n > 0 ? 1 : 0, 'a');
  what_counts += data.substr(n);
  const std::pair key(std::move(what_counts), may_space);
  if (const auto* known = cache_.find(key)) return *known;
  auto found = std::make_shared<const Tokens>(find_continuing(key.first, may_space));
  cache_.put(key, found);
  cache_.shrink(kMaxCachedLists);
  return found;
}

WordVocabulary::Tokens WordVocabulary::find_continuing(std::string_view data,
                                                       bool may_space) const {
  Tokens found;
  const size_t n = read_word(data).n;
  const bool is_in_character = incomplete_utf8_tail(data) > 0;
  std::string longer(data);
  for (unsigned byte = is_in_character ? 0x80 : 0; byte < (is_in_character ? 0xC0 : 0x100);
       ++byte) {
    if (!may_begin(byte, may_space)) continue;
    for (size_t i = first_with_byte_[byte]; i < first_with_byte_[byte + 1]; ++i) {
      const std::string_view next = without_space(text(tokens_[i]));
      longer.resize(data.size());
      longer += next;
      // Most are plain, and need no closer look.
      const ReadWord now = is_plain_word(next) ? ReadWord{n + 1, false} : read_word(longer);
      if (now.n > n || !now.ended) found.push_back(tokens_[i]);
    }
  }
  return found;
}

}  // namespace gpt2edge
