#include "generate/words/word.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "tokenize/unicode_classes.h"
#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

enum class Kind { kLetter, kMark, kJoiner, kWholeWord, kOther };

struct CodeRange {
  char32_t first, last;
};

constexpr CodeRange kWithoutSpaces[] = {
    {0x0E00, 0x0EFF},    // Thai, Lao
    {0x1000, 0x109F},    // Burmese
    {0x1780, 0x17FF},    // Khmer
    {0x3005, 0x3007},    // Chinese marks and zero
    {0x3040, 0x30FF},    // Japanese syllables
    {0x31F0, 0x31FF},    // small syllables
    {0x3400, 0x9FFF},    // Chinese
    {0xF900, 0xFAFF},    // Chinese, for compatibility
    {0xFF66, 0xFF9F},    // narrow syllables
    {0x20000, 0x3FFFF},  // rare Chinese
};

// Between two letters they belong to the word: apostrophes, and what joins letters (or keeps them
// from joining) in Persian and in the scripts of India.
constexpr char32_t kJoiners[] = {'\'', 0x2019, 0x200C, 0x200D};
constexpr char32_t kVariations[] = {0xFE0E, 0xFE0F};  // marks, but of emoji

template <typename Codes>
bool is_in(const Codes& codes, char32_t code) {
  return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
}

bool is_without_spaces(char32_t code) {
  if (code < kWithoutSpaces[0].first) return false;  // most are
  return std::any_of(std::begin(kWithoutSpaces), std::end(kWithoutSpaces),
                     [=](CodeRange range) { return code >= range.first && code <= range.last; });
}

bool is_letter(CharacterClass found) {
  return found == CharacterClass::kLetter || found == CharacterClass::kNumber;
}

Kind kind_of(char32_t code) {
  const CharacterClass found = character_class(code);
  const bool is_mark = found == CharacterClass::kMark;
  if (is_without_spaces(code)) return is_letter(found) || is_mark ? Kind::kWholeWord : Kind::kOther;
  if (is_letter(found)) return Kind::kLetter;
  if (is_in(kJoiners, code)) return Kind::kJoiner;
  return is_mark && !is_in(kVariations, code) ? Kind::kMark : Kind::kOther;
}

Kind kind_of(const Utf8Character& character) {
  return character.state == Utf8State::kWhole ? kind_of(character.code) : Kind::kOther;
}

// A text's last characters, the last first.
class LastCharacters {
 public:
  explicit LastCharacters(std::string_view text) {
    while (n_ < kinds_.size() && !text.empty()) {
      const Utf8Character last = last_character(text);
      text.remove_suffix(last.length);
      kinds_[n_] = kind_of(last);
      starts_[n_++] = text.size();
    }
  }

  Kind kind(size_t i) const { return i < n_ ? kinds_[i] : Kind::kOther; }
  // Where the last n begin in the text, `end` bytes long.
  size_t start(size_t n, size_t end) const { return n == 0 ? end : starts_[n - 1]; }

  // How many are of the word that the text ends in, counted to one more than a word may have.
  size_t count_of_word() const {
    size_t n = 0;
    while (n <= kMaxPartialWord && n < n_) {
      const Kind own = kind(n) == Kind::kJoiner ? kind(n + 1) : kind(n);
      if (own != Kind::kLetter && own != Kind::kMark) break;
      ++n;
    }
    while (n > 0 && kind(n - 1) == Kind::kMark) --n;  // no word begins with a mark
    return n;
  }

 private:
  std::array<Kind, kMaxPartialWord + 2> kinds_{};
  std::array<size_t, kMaxPartialWord + 2> starts_{};
  size_t n_ = 0;
};

bool ends_in_space(std::string_view text) {
  const char32_t code = last_character(text).code;
  const bool is_separator = code >= 0x1C && code <= 0x1F;  // of records, fields ...
  return is_separator || character_class(code) == CharacterClass::kSpace;
}

bool is_letter_or_mark(Kind kind) { return kind == Kind::kLetter || kind == Kind::kMark; }

}  // namespace

std::optional<PartialWord> PartialWord::at_end_of(std::string_view text) {
  const LastCharacters last(text);
  const size_t n = last.count_of_word();
  if (n > kMaxPartialWord) return std::nullopt;
  size_t begins = last.start(n, text.size());
  // The space before a word goes to the word, and other spaces do not.
  if (text.substr(0, begins).ends_with(' ')) --begins;
  if (begins < text.size()) return PartialWord{text.substr(0, begins), text.substr(begins)};
  return PartialWord{text, {}, !text.empty() && !ends_in_space(text)};
}

ReadWord read_word(std::string_view data) {
  size_t n = 0;
  Kind before = Kind::kOther;
  for (size_t i = 0; i < data.size();) {
    const Utf8Character character = first_character(data.substr(i));
    if (character.state == Utf8State::kIncomplete) return {n, false};
    const Kind kind = kind_of(character);
    i += character.length;
    if (kind == Kind::kWholeWord && i == character.length) return {i, true};
    if (kind == Kind::kLetter || (kind == Kind::kMark && is_letter_or_mark(before))) {
      n = i;
    } else if (kind != Kind::kJoiner || !is_letter_or_mark(before)) {
      return {n, true};
    }
    before = kind;
  }
  return {n, false};
}

bool is_plain_word(std::string_view data) {
  const auto is_plain = [](char c) {
    return is_letter(detail::ascii_class(static_cast<unsigned char>(c)));
  };
  return !data.empty() && std::all_of(data.begin(), data.end(), is_plain);
}

}  // namespace gpt2edge
