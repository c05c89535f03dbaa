// Characters in bytes, their classes, and what is a word.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lru_cache.h"
#include "check.h"
#include "generate/words/word.h"
#include "generate/words/word_vocabulary.h"
#include "tokenize/unicode_classes.h"
#include "tokenize/utf8.h"

using namespace gpt2edge;
using namespace std::string_view_literals;

static void test_first_character() {
  const auto is_whole = [](std::string_view text, char32_t code) {
    const Utf8Character first = first_character(text), last = last_character(text);
    CHECK(last.state == Utf8State::kWhole && last.code == code && last.length == text.size());
    CHECK(first_character(std::string(text) + "\xFF").code == code);
    return first.state == Utf8State::kWhole && first.code == code && first.length == text.size();
  };
  CHECK(is_whole("\0"sv, 0));
  CHECK(is_whole("a", 'a'));
  CHECK(is_whole("\x7F", 0x7F));
  CHECK(is_whole("\xC2\x80", 0x80));
  CHECK(is_whole("\xDF\xBF", 0x7FF));
  CHECK(is_whole("\xE0\xA0\x80", 0x800));
  CHECK(is_whole("\xED\x9F\xBF", 0xD7FF));
  CHECK(is_whole("\xEE\x80\x80", 0xE000));
  CHECK(is_whole("\xEF\xBF\xBF", 0xFFFF));
  CHECK(is_whole("\xF0\x90\x80\x80", 0x10000));
  CHECK(is_whole("\xF4\x8F\xBF\xBF", 0x10FFFF));
  for (const auto text : {"\xC3"sv, "\xE0\xA0"sv, "\xE2"sv, "\xE2\x80"sv, "\xF0"sv, "\xF0\x90"sv,
                          "\xF0\x90\x80"sv, "\xF4\x8F\xBF"sv}) {
    const Utf8Character found = first_character(text);
    CHECK(found.state == Utf8State::kIncomplete && found.length == text.size());
    CHECK(incomplete_utf8_tail(text) == text.size());
    CHECK(incomplete_utf8_tail(std::string("a").append(text)) == text.size());
  }
  for (const auto text :
       {"\x80"sv, "\xBF"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xC3("sv, "\xE0\x9F"sv, "\xE0\x80\x80"sv,
        "\xED\xA0"sv, "\xED\xA0\x80"sv, "\xE2\x80("sv, "\xF0\x8F"sv, "\xF0\x90("sv, "\xF4\x90"sv,
        "\xF4\x90\x80\x80"sv, "\xF5\x80"sv, "\xFF"sv}) {
    const Utf8Character found = first_character(text);
    CHECK(found.state == Utf8State::kInvalid && found.length == 1);
    CHECK(incomplete_utf8_tail(text) == 0);
  }
  CHECK(last_character("\xC3\xA9\xA9").state == Utf8State::kInvalid);
  CHECK(last_character("\xC3\xA9\xA9").length == 1);
  CHECK(last_character("\x80\x80\x80\x80\x80").state == Utf8State::kInvalid);
  CHECK(incomplete_utf8_tail("") == 0);
}

static void test_classes() {
  using enum CharacterClass;
  CHECK(character_class('@') == kOther && character_class('A') == kLetter);
  CHECK(character_class('Z') == kLetter && character_class('[') == kOther);
  CHECK(character_class('`') == kOther && character_class('a') == kLetter);
  CHECK(character_class('z') == kLetter && character_class('{') == kOther);
  CHECK(character_class('/') == kOther && character_class('0') == kNumber);
  CHECK(character_class('9') == kNumber && character_class(':') == kOther);
  CHECK(character_class(0x08) == kOther && character_class('\t') == kSpace);
  CHECK(character_class('\r') == kSpace && character_class(0x0E) == kOther);
  CHECK(character_class(0x1F) == kOther && character_class(' ') == kSpace);
  CHECK(character_class(0x7F) == kOther && character_class(0x80) == kOther);
  CHECK(character_class(0x85) == kSpace && character_class(0xA0) == kSpace);
  CHECK(character_class(0xB2) == kNumber && character_class(0xD7) == kOther);
  CHECK(character_class(0x2FF) == kOther && character_class(0x300) == kMark);
  CHECK(character_class(0x36F) == kMark && character_class(0x370) == kLetter);
  CHECK(character_class(0x3000) == kSpace && character_class(0x3007) == kNumber);
  CHECK(character_class(0xD7A3) == kLetter && character_class(0xD800) == kOther);
  CHECK(character_class(0xE01EF) == kMark && character_class(0xE01F0) == kOther);
  CHECK(character_class(0x10FFFF) == kOther && character_class(0x110000) == kOther);
  CHECK(character_class(0xFFFFFFFF) == kOther);
}

static void test_reading() {
  const auto reads = [](std::string_view data, size_t n, bool ended) {
    return read_word(data) == ReadWord{n, ended};
  };
  CHECK(reads("", 0, false));
  CHECK(reads("the", 3, false));
  CHECK(reads("the ", 3, true));
  CHECK(reads("don't", 5, false));
  CHECK(reads("don'", 3, false));
  CHECK(reads("don''", 3, true));
  CHECK(reads("don' ", 3, true));
  CHECK(reads("'", 0, true));
  CHECK(reads("snake_case", 5, true));
  CHECK(reads("19th", 4, false));
  CHECK(reads("caf\xC3", 3, false));
  CHECK(reads("caf\xC3\xA9", 5, false));
  CHECK(reads("caf\xC3\xC3", 3, true));
  CHECK(reads("caf\xFF", 3, true));
  CHECK(reads("a b\xFF", 1, true));
  CHECK(reads("cafe\xCC\x81s", 7, false));             // a combining accent
  CHECK(reads("\xCC\x81s", 0, true));                  // and one on nothing
  CHECK(reads("rock\xE2\x80\x99n", 8, false));         // a typographic apostrophe
  CHECK(reads("rock\xE2\x80", 4, false));              // or the beginning of one
  CHECK(reads("\xE2\x9D\xA4\xEF\xB8\x8F", 0, true));   // an emoji
  CHECK(reads("a\xEF\xB8\x8F", 1, true));              // a variation selector
  CHECK(reads("\xE4\xBB\x8A\xE6\x97\xA5", 3, true));   // two Chinese characters
  CHECK(reads("a\xE4\xBB\x8A", 1, true));              // a Chinese one after a letter
  CHECK(reads("\xE0\xB8\x81\xE0\xB8\xB1", 3, true));   // Thai
  CHECK(reads("\xE0\xA4\x95\xE0\xA4\xBF", 6, false));  // Devanagari with a vowel sign
  CHECK(reads("\xE3\x80\x81", 0, true));               // a Chinese comma
  CHECK(is_plain_word("a1Z") && !is_plain_word("") && !is_plain_word("a b"));
  CHECK(!is_plain_word("caf\xC3\xA9") && !is_plain_word("don't"));
}

// The context, the prefix, and where a space may come first a "+".
static std::string ends(std::string_view text) {
  const std::optional<PartialWord> partial = PartialWord::at_end_of(text);
  if (!partial) return "too long";
  return std::string(partial->context) + "|" + std::string(partial->prefix) +
         (partial->may_space ? "+" : "");
}

static std::string repeated(std::string_view text, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) all += text;
  return all;
}

static void test_typed_words() {
  CHECK(ends("") == "|");
  CHECK(ends("a") == "|a");
  CHECK(ends("see them") == "see| them");
  CHECK(ends("see the ") == "see the| ");
  CHECK(ends("two  ") == "two | ");
  CHECK(ends("end.\n") == "end.\n|");
  CHECK(ends("end,\x1E") == "end,\x1E|");
  CHECK(ends("end,") == "end,|+");
  CHECK(ends("I don'") == "I| don'");
  CHECK(ends("I don''") == "I don''|+");
  CHECK(ends("'tis") == "'|tis");
  CHECK(ends("l'\xC3\xA9t\xC3\xA9") == "|l'\xC3\xA9t\xC3\xA9");
  CHECK(ends("(\xC3\xBC") == "(|\xC3\xBC");
  CHECK(ends("\xE4\xBB\x8A\xE6\x97\xA5") == "\xE4\xBB\x8A\xE6\x97\xA5|+");
  CHECK(ends("it is 19") == "it is| 19");
  CHECK(ends("<|endoftext|>") == "<|endoftext|>|+");
  CHECK(ends("x \xCC\x81"
             "a") == "x \xCC\x81|a");         // a mark on nothing begins no word
  CHECK(ends("a\xC2\xA0") == "a\xC2\xA0|");   // a space, but not one of tokens
  CHECK(ends("a\xE4\xBB") == "a\xE4\xBB|+");  // no character
  CHECK(ends("a\xFF"
             "b") == "a\xFF|b");
  CHECK(ends(repeated("a", 64)) == std::string("|").append(repeated("a", 64)));
  CHECK(ends(repeated("a", 65)) == "too long");
  CHECK(ends(repeated("\xC3\xA9", 64)) == std::string("|").append(repeated("\xC3\xA9", 64)));
  CHECK(ends(repeated("\xC3\xA9", 65)) == "too long");
  CHECK(ends(repeated("a", 1'000'000)) == "too long");
  CHECK(ends(repeated("'", 70)) == repeated("'", 70) + "|+");
  CHECK(ends(repeated("\xCC\x81", 70)) == repeated("\xCC\x81", 70) + "|+");
}

static void test_vocabulary() {
  auto tables = std::make_shared<TokenizerTables>();
  tables->token_bytes = {"the", " the", "t",  "'",  ".",  " ",  "\xC3", "\xA9",
                         "th",  "end",  " '", "\n", "e.", "'s", "a",    "then"};
  tables->token_types.assign(tables->token_bytes.size(), kNormalToken);
  tables->token_types[15] = kControlToken;
  tables->eos_token = 9;
  WordVocabulary vocabulary(tables);
  using Tokens = WordVocabulary::Tokens;
  const auto beginning = [&](std::string_view data) {
    const auto found = vocabulary.beginning_with(data);
    return Tokens(found.begin(), found.end());
  };
  CHECK((beginning("t") == Tokens{2, 8, 0}));
  CHECK((beginning(" ") == Tokens{5, 10, 1}));
  CHECK(beginning("then").empty() && beginning("end").empty() && beginning("zz").empty());
  CHECK((vocabulary.proper_beginnings("then") == Tokens{2, 8, 0}));
  CHECK((vocabulary.proper_beginnings("the") == Tokens{2, 8}));
  CHECK(vocabulary.proper_beginnings("t").empty());
  const auto continuing = [&](std::string_view data, bool may_space) {
    return *vocabulary.continuing(data, may_space);
  };
  CHECK((continuing("th", false) == Tokens{3, 13, 14, 12, 2, 8, 0, 6}));
  CHECK((continuing("", true) == Tokens{5, 1, 14, 12, 2, 8, 0, 6}));
  CHECK((continuing("th'", false) == Tokens{14, 12, 2, 8, 0, 6}));
  CHECK((continuing("caf\xC3", false) == Tokens{7}));
}

static void test_recently_used() {
  LruCache<int, std::string> known;
  known.put(1, "one");
  known.put(2, "two");
  known.put(3, "three");
  CHECK(*known.find(1) == "one");
  known.put(2, "zwei");
  known.shrink(2);
  CHECK(!known.contains(3) && *known.find(1) == "one" && *known.find(2) == "zwei");
  known.clear();
  CHECK(known.find(1) == nullptr);
}

int main() {
  test_first_character();
  test_classes();
  test_reading();
  test_typed_words();
  test_vocabulary();
  test_recently_used();
  return check::done();
}
