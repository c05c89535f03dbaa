// Text to tokens and back: pieces, merges, added tokens, vocabularies that lack bytes, what is not
// UTF-8.
#include "tokenize/tokenizer.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "check.h"
#include "formats/pair_merger.h"
#include "formats/reachable_merges.h"
#include "small_vocabulary.h"
#include "tokenize/pieces.h"
#include "tokenize/utf8.h"

using namespace gpt2edge;
using test::kEnd;
using test::kNewYork;
using test::kNewYorkCity;
using test::small_vocabulary;
using test::Vocabulary;
using Tokens = std::vector<int32_t>;

// The pieces with "|" between.
static std::string cut(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t n = first_piece(text);
    out += out.empty() ? "" : "|";
    out += text.substr(0, n);
    text.remove_prefix(n);
  }
  return out;
}

static void test_pieces() {
  CHECK(cut("") == "" && cut("a") == "a" && cut(" ") == " ");
  CHECK(cut("Hello, world") == "Hello|,| world");
  CHECK(cut("a  b") == "a| | b");
  CHECK(cut("a \n b \n") == "a| \n| b| \n");
  CHECK(cut("a\nb\n\nc") == "a|\n|b|\n|\n|c");
  CHECK(cut("  ") == "  " && cut(" \t\n") == " \t\n");
  CHECK(cut("x12y 3") == "x|12|y| 3");
  CHECK(cut("don't 'tis we'll they've I'm you're he'd it's") ==
        "don|'t| '|tis| we|'ll| they|'ve| I|'m| you|'re| he|'d| it|'s");
  CHECK(cut("IT'S 'S 'l 'r 'v") == "IT|'|S| '|S| '|l| '|r| '|v");
  CHECK(cut("''s '''") == "''|s| '''");
  CHECK(cut("'sx'") == "'s|x|'");
  CHECK(cut("caf\xC3\xA9s \xC3\xA9") == "caf\xC3\xA9s| \xC3\xA9");
  CHECK(cut("e\xCC\x81x") == "e|\xCC\x81|x");                        // a mark is no letter
  CHECK(cut("\xC2\xB2x\xE2\x85\xA0") == "\xC2\xB2|x|\xE2\x85\xA0");  // numbers that are no digits
  CHECK(cut("a\xE3\x80\x80\xE3\x80\x80x") == "a|\xE3\x80\x80|\xE3\x80\x80|x");
  CHECK(cut("a\xC2\x85 x\xC2\xA0") == "a|\xC2\x85| x|\xC2\xA0");
  CHECK(cut("\x1C x") == "\x1C| x");  // a separator, which Unicode does not count as space
  CHECK(cut("\xF0\x9F\x99\x82\xF0\x90\x90\x80!") == "\xF0\x9F\x99\x82|\xF0\x90\x90\x80|!");
}

static void test_encoding() {
  const Tokenizer tokenizer(small_vocabulary().tables());
  const auto gives = [&](std::string_view text, const Tokens& expected, bool special = false) {
    const Tokens tokens = tokenizer.encode(text, special);
    return tokens == expected && tokenizer.decode(tokens) == text;
  };
  CHECK(gives("", {}));
  CHECK(gives("the the", {'t', 257, 258}));
  CHECK(gives(" t he", {256, ' ', 257}));
  CHECK(gives("we'll", {'w', 'e', '\'', 259}));
  CHECK(gives("a", {'a'}) && gives("aa", {260}) && gives("aaa", {260, 'a'}));
  CHECK(gives("aaaaaaa", {261, 260, 'a'}));
  CHECK(gives("\xC3\xA9\xC3\xA8", {262, 0xC3, 0xA8}));
  CHECK(gives(std::string_view("\0", 1), {0}));
  CHECK(gives("<|end|>", {'<', '|', 'e', 'n', 'd', '|', '>'}));
  CHECK(gives("a<|end|> the", {'a', kEnd, 258}, true));
  CHECK(gives("<|end|><|end|", {kEnd, '<', '|', 'e', 'n', 'd', '|'}, true));
  CHECK(gives("new york cit", {kNewYork, ' ', 'c', 'i', 't'}));
  CHECK(gives("new yorknew york city!", {kNewYork, kNewYorkCity, '!'}));
  CHECK(gives("new new york", {'n', 'e', 'w', ' ', kNewYork}));
  CHECK(gives("new york<|end|>new york", {kNewYork, kEnd, kNewYork}, true));
}

static void test_what_is_not_utf8() {
  const Tokenizer tokenizer(small_vocabulary().tables());
  const std::string replaced = "\xEF\xBF\xBD";
  const auto reads_as = [&](std::string_view text, const std::string& as) {
    return tokenizer.encode(text) == tokenizer.encode(as) &&
           repaired_utf8(text).value_or("valid") == as;
  };
  CHECK(!repaired_utf8("") && !repaired_utf8("plain text, and \xC3\xA9 \xF0\x9F\x99\x82"));
  CHECK(reads_as("a\xFF", "a" + replaced));
  CHECK(reads_as("\xE2\x80(", replaced + "("));                     // the beginning of a character
  CHECK(reads_as("\xF0\x9F\x99", replaced));                        // at the end
  CHECK(reads_as("\xED\xA0\x80", replaced + replaced + replaced));  // half a surrogate pair
  CHECK(reads_as("\xC0\xAF", replaced + replaced));                 // longer than need be
  CHECK(reads_as("\xF4\x90\x80\x80.", replaced + replaced + replaced + replaced + "."));
  CHECK(reads_as("\xE2\x82\xE2\x82\xAC", replaced + "\xE2\x82\xAC"));
  CHECK(reads_as("twelve bytes\x80 and twelve\xC3",
                 "twelve bytes" + replaced + " and twelve" + replaced));
}

static std::string thrown_by(const Tokenizer& tokenizer, std::string_view text) {
  try {
    tokenizer.encode(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing";
}

static void test_vocabularies_that_lack_bytes() {
  const Vocabulary cut_down{{"a", "b"}, {{"a", "b"}}, {{"c", kUserDefinedToken}}};
  const Tokenizer tokenizer(cut_down.tables());
  CHECK((tokenizer.encode("abba") == Tokens{2, 1, 0}));
  CHECK((tokenizer.encode("abc") == Tokens{2, 3}));  // added, so it needs no byte
  CHECK(thrown_by(tokenizer, "ab d") == "the model's vocabulary has no token for the byte 0x20");
  CHECK(thrown_by(tokenizer, "\xC3\xA9") ==
        "the model's vocabulary has no token for the byte 0xC3");
  const Tokenizer none(std::make_shared<const TokenizerTables>());
  CHECK(none.encode("").empty());
  CHECK(thrown_by(none, "a") == "the model's vocabulary has no token for the byte 0x61");
  CHECK(check::throws<std::invalid_argument>([&] { tokenizer.decode(Tokens{0, 4}); }));
  CHECK(check::throws<std::invalid_argument>([&] { tokenizer.decode(Tokens{-1}); }));
}

// What byte-pair encoding is, in the fewest lines.
static Tokens merged_naively(const MergeTable& table, Tokens symbols, int32_t* last = nullptr) {
  while (true) {
    int32_t first = MergeTable::kNone;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const int32_t merge = table.find(symbols[i], symbols[i + 1]);
      if (merge == MergeTable::kNone || (first != MergeTable::kNone && merge >= first)) continue;
      first = merge;
      at = i;
    }
    if (first == MergeTable::kNone) return symbols;
    if (last != nullptr) *last = first;
    symbols[at] = table[first].result;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

// Short pieces are merged in place, long ones by a queue.
static void test_merging() {
  std::mt19937 random(1);
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(random() % static_cast<uint32_t>(n));
  };
  for (int round = 0; round < (check::is_quick() ? 5 : 100); ++round) {
    constexpr int32_t kLetters = 3, kMerges = 30;
    MergeTable table(kMerges);
    for (int32_t i = 0; i < kMerges; ++i) {
      table.add({below(kLetters + i), below(kLetters + i), kLetters + i});
    }
    PairMerger merger(table);
    for (const size_t n : {0, 1, 2, 5, 63, 64, 65, 66, 300}) {
      Tokens symbols(n);
      for (int32_t& symbol : symbols) symbol = below(kLetters + 1) - (below(20) == 0 ? 1 : 0);
      merger.symbols() = symbols;
      merger.merge_all();
      CHECK(merger.symbols() == merged_naively(table, symbols));
    }
  }
}

// Tokens of few letters, so that many merges make the same ones; their texts say what they are.
struct DrawnMerges {
  std::vector<std::string> texts;  // by token
  std::vector<Merge> merges;

  template <typename Below>
  DrawnMerges(int32_t n_letters, int n_merges, const Below& below) {
    for (int32_t i = 0; i < n_letters; ++i) {
      texts.emplace_back(1, static_cast<char>('a' + i));
    }
    for (int i = 0; i < n_merges; ++i) {
      const auto n_tokens = static_cast<int32_t>(texts.size());
      const int32_t left = below(n_tokens), right = below(n_tokens);
      const std::string text = texts[static_cast<size_t>(left)] + texts[static_cast<size_t>(right)];
      const auto known = std::find(texts.begin(), texts.end(), text);
      merges.push_back({left, right, static_cast<int32_t>(known - texts.begin())});
      if (known == texts.end()) texts.push_back(text);
    }
  }

  void spell(int32_t token, Tokens& symbols) const {
    symbols.clear();
    for (const char c : texts[static_cast<size_t>(token)]) symbols.push_back(c - 'a');
  }
};

// The merges that encoding a token's letters ends with.
static Tokens reachable_naively(const MergeTable& table, const DrawnMerges& drawn) {
  std::set<int32_t> numbers;
  for (int32_t i = 0; i < static_cast<int32_t>(table.size()); ++i) {
    Tokens symbols;
    drawn.spell(table[i].result, symbols);
    int32_t last = MergeTable::kNone;
    if (merged_naively(table, symbols, &last).size() == 1) numbers.insert(last);
  }
  return {numbers.begin(), numbers.end()};
}

// Merges that use only what earlier ones make are looked at otherwise than the rest.
static void test_reachable_merges() {
  std::mt19937 random(2);
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(random() % static_cast<uint32_t>(n));
  };
  for (int round = 0; round < (check::is_quick() ? 50 : 3000); ++round) {
    const int32_t n_letters = 1 + below(3);
    DrawnMerges drawn(n_letters, 1 + below(24), below);
    if (round % 3 == 0) std::shuffle(drawn.merges.begin(), drawn.merges.end(), random);
    MergeTable table(drawn.merges.size());
    for (const Merge& merge : drawn.merges) table.add(merge);
    Tokens letters(static_cast<size_t>(n_letters));
    std::iota(letters.begin(), letters.end(), 0);
    letters.push_back(-1);  // of a letter that there is no token for
    const auto spell = [&](int32_t token, Tokens& symbols) { drawn.spell(token, symbols); };
    CHECK(reachable_merges(table, letters, spell) == reachable_naively(table, drawn));
  }
}

static void test_a_long_word() {
  const Tokenizer tokenizer(small_vocabulary().tables());
  const size_t n = check::is_quick() ? 10'001 : 1'000'001;
  const Tokens tokens = tokenizer.encode(std::string(n, 'a'));
  CHECK(tokens.size() == n / 4 + 1 && tokens.front() == 261 && tokens.back() == 'a');
}

static void test_tables_that_contradict_themselves() {
  Vocabulary twice = small_vocabulary();
  twice.merges.emplace_back("h", "e");
  CHECK(check::throws<FormatError>([&] { twice.tables(); }));
  Vocabulary unknown{{"a"}, {{"a", "b"}}, {}};
  CHECK(check::throws<FormatError>([&] { unknown.tables(); }));
  Vocabulary empty = small_vocabulary();
  empty.added.emplace_back("", kControlToken);
  CHECK(check::throws<FormatError>([&] { empty.tables(); }));
}

int main() {
  test_pieces();
  test_encoding();
  test_what_is_not_utf8();
  test_vocabularies_that_lack_bytes();
  test_merging();
  test_reachable_merges();
  test_a_long_word();
  test_tables_that_contradict_themselves();
  return check::done();
}
