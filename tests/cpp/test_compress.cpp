// Compressed bytes come back as they were, are the same however they are computed and on every
// processor, and damaged ones are refused.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "compress/blocks.h"
#include "compress/coded_context.h"
#include "compress/compressed_file.h"
#include "compress/compressor.h"
#include "compress/range_coder.h"
#include "compress/token_frequencies.h"
#include "tiny_model.h"

namespace gpt2edge::test {
namespace {

constexpr int kContext = 24;
constexpr size_t kBlock = 1000, kShort = 70;

struct Setup {
  TinyModel tiny;
  Compressor compressor;
  explicit Setup(int n_threads, uint32_t seed = 1)
      : tiny(tiny_model({.n_ctx = 40, .n_vocab = 300, .seed = seed}, n_threads)),
        compressor(tiny.model, std::make_shared<Tokenizer>(tiny.vocabulary), kContext) {}

  std::string compress(std::string_view text, size_t block = kBlock) const {
    return compressor.compress(text, block, {}, {});
  }
  std::string decompress(const std::string& bytes, int n_parallel = 0) const {
    return compressor.decompress("file", std::as_bytes(std::span(bytes)), n_parallel, {}, {});
  }
  std::string compress_message(std::string_view text) const {
    return compressor.compress_message(text, {});
  }
  std::string decompress_message(const std::string& bytes) const {
    return compressor.decompress_message("message", std::as_bytes(std::span(bytes)), {});
  }
};

// What this model finds likely, so that there is a code that is shorter: its own greedy text.
std::string likely_text(const Setup& setup, int n) {
  CodedContext context(setup.tiny.model, kContext, 299);
  std::string text;
  std::vector<int32_t> tokens;
  for (int i = 0; i < n; ++i) {
    const auto inputs = context.inputs_after(tokens);
    const Sequence::Part part{&context.sequence(), inputs};
    Sequence::append({&part, 1}, {});
    const Sequence& sequence = context.sequence();
    const auto logits = sequence.logits_after(sequence.length()).all.first(256);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    // Some that it does not expect.
    tokens.push_back(static_cast<int32_t>(i % 5 == 4 ? (best * 7 + i) % 94 : best));
    text += token_bytes(*setup.tiny.vocabulary, tokens.back());
  }
  return text;
}

// ---- the coder ----

void test_range_coder(uint32_t seed, uint64_t most_total) {
  Random random(seed);
  std::vector<FrequencyInterval> symbols;
  const auto below = [&](uint64_t n) {
    uint64_t wide = 0;
    for (int i = 0; i < 4; ++i) wide = wide << 16 | static_cast<uint64_t>(random.below(1 << 16));
    return wide % n;
  };
  for (int i = 0; i < 3000; ++i) {
    const uint64_t total = 1 + below(most_total);
    const uint64_t start = random.below(3) == 0 ? 0 : below(total);
    const uint64_t rest = total - start;
    symbols.push_back({start, random.below(2) == 0 ? rest : 1 + below(rest), total});
  }
  RangeEncoder encoder;
  for (const auto& symbol : symbols) encoder.encode(symbol);
  const std::string code = encoder.finish();
  RangeDecoder decoder(std::as_bytes(std::span(code)));
  bool same = true;
  for (const auto& symbol : symbols) {
    const uint64_t place = decoder.place(symbol.total);
    same = same && place >= symbol.start && place - symbol.start < symbol.size;
    decoder.accept(symbol);
    same = same && !decoder.is_past_end();
  }
  CHECK(same && decoder.is_at_end());
}

// A decoder knows after which symbols an encoder would have stopped with just this code.
void test_ends_are_known(uint32_t seed) {
  Random random(seed);
  std::vector<FrequencyInterval> symbols;
  std::vector<std::string> codes{""};
  for (int i = 0; i < 40; ++i) {
    const int total = 1 + random.below(40), start = random.below(total);
    const int size = 1 + random.below(total - start);
    symbols.push_back(
        {static_cast<uint64_t>(start), static_cast<uint64_t>(size), static_cast<uint64_t>(total)});
    RangeEncoder encoder;
    for (const auto& symbol : symbols) encoder.encode(symbol);
    codes.push_back(encoder.finish());
  }
  const std::string& code = codes.back();
  RangeDecoder decoder(std::as_bytes(std::span(code)));
  for (size_t n = 0; n < symbols.size(); ++n) {
    CHECK(decoder.is_at_end() == (codes[n] == code));
    decoder.accept(symbols[n]);
  }
  CHECK(decoder.is_at_end());
}

void test_coder_is_close_to_the_entropy() {
  RangeEncoder encoder;  // 1,000 symbols of 1/8: 375 bytes
  for (uint64_t i = 0; i < 1000; ++i) encoder.encode({i * 5 % 8, 1, 8});
  CHECK(encoder.finish().size() <= 376);
  CHECK(RangeEncoder().finish().empty());
  RangeEncoder across;  // from 10.25 to 11.25 of 256: 11 has fewer bytes than 10.25
  across.encode({41, 4, 1024});
  CHECK(across.finish() == "\x0B");
}

void test_frequencies() {
  Random random(3);
  std::vector<float> logits(317);
  for (float& logit : logits) logit = 20 * random.uniform();
  logits[100] = -std::numeric_limits<float>::infinity();
  logits[101] = -std::numeric_limits<float>::max();
  logits[316] = 21;
  const TokenFrequencies frequencies(logits, 21);
  uint64_t start = 0;
  for (int32_t token = 0; token < 317; ++token) {
    const auto of = frequencies.of(token);
    CHECK(of.start == start && of.size >= 1 && of.total == frequencies.total());
    for (const uint64_t place : {start, start + of.size - 1}) {
      const auto found = frequencies.at(place);
      CHECK(found.token == token && found.interval.start == start &&
            found.interval.size == of.size);
    }
    start += of.size;
  }
  CHECK(start == frequencies.total());
  CHECK(frequencies.of(100).size == 1 && frequencies.of(101).size == 1);
  CHECK(frequencies.of(316).size == (uint64_t{1} << 30) + 1);
}

// ---- what comes back ----

std::vector<std::string> texts(const Setup& setup) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  Random random(5);
  std::string noise(200, '\0');
  for (char& c : noise) c = static_cast<char>(random.below(256));
  return {"",
          "a",
          std::string(1, '\0'),
          std::string(1, '\xFF'),
          "two\r\nlines\r\n",
          "<|endoftext|>",
          "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 \xE2\x82 cut \xC3",
          all,
          noise,
          std::string(200, 'x'),
          likely_text(setup, 400)};
}

void test_comes_back(const Setup& setup) {
  for (const std::string& text : texts(setup)) {
    const std::string bytes = setup.compress(text);
    CHECK(setup.decompress(bytes) == text);
    CHECK(bytes.size() <= text.size() + (text.empty() ? 25 : 37));
    const std::string in_blocks = setup.compress(text, kShort);
    for (const int n_parallel : {0, 1, 3}) CHECK(setup.decompress(in_blocks, n_parallel) == text);
    const std::string message = setup.compress_message(text);
    CHECK(setup.decompress_message(message) == text);
    CHECK(message.size() <= text.size() + 3);
    const std::string start = text.substr(0, 9);
    CHECK(setup.decompress(setup.compress(start, 1)) == start);
  }
}

void test_threads(const Setup& setup, const Setup& with_threads) {
  const std::string text = likely_text(setup, 100), bytes = setup.compress(text);
  CHECK(with_threads.compress(text) == bytes && with_threads.decompress(bytes) == text);
  const std::string message = setup.compress_message(text);
  CHECK(with_threads.compress_message(text) == message);
  CHECK(with_threads.decompress_message(message) == text);
}

void test_progress(const Setup& setup) {
  const std::string text = likely_text(setup, 200) + std::string(200, '\xFF');
  uint64_t last = 0;
  const auto rises = [&](uint64_t done, uint64_t all) {
    CHECK(done >= last && all == text.size());
    last = done;
  };
  const std::string bytes = setup.compressor.compress(text, kShort, rises, {});
  CHECK(last == text.size());
  last = 0;
  CHECK(setup.compressor.decompress("file", std::as_bytes(std::span(bytes)), 2, rises, {}) == text);
  CHECK(last == text.size());
}

// The same on every processor; the texts of this model too.
void test_bytes_never_change(const Setup& setup) {
  const std::string text = likely_text(setup, 300);
  const auto is_still = [](std::string_view bytes, uint32_t checksum) {
    if (text_checksum(bytes) != checksum) std::printf("checksum 0x%08X\n", text_checksum(bytes));
    return text_checksum(bytes) == checksum;
  };
  const std::string file = setup.compress(text);
  CHECK(is_still(text, 0x3F58A21D));
  // Without its own checksum: with it, all files have the same.
  CHECK(is_still(std::string_view(file).substr(0, file.size() - 4), 0x6388C856));
  CHECK(is_still(setup.compress_message(text.substr(0, 100)), 0xCBBB492C));
  CHECK(file.size() < text.size());
}

void test_blocks() {
  const std::string text =
      "some words and\nlines of them, " + std::string(100, '-') + "\xE2\x82\xAC";
  for (size_t most = 1; most <= text.size() + 1; ++most) {
    std::string joined;
    bool fit = true;
    for (const auto block : split_into_blocks(text, most)) {
      fit = fit && !block.empty() && block.size() <= most;
      joined += block;
    }
    CHECK(fit && joined == text);
  }
  CHECK(split_into_blocks(text, text.size() - 1).size() == 2);
}

// ---- what is refused ----

template <typename Decompress>
bool is_refused(const Decompress& decompress, std::string_view start) {
  try {
    decompress();
  } catch (const FormatError& error) {
    return std::string_view(error.what()).starts_with(start);
  } catch (const UnsupportedError& error) {
    return std::string_view(error.what()).starts_with(start);
  }
  return false;
}

bool refuses(const Setup& setup, const std::string& bytes) {
  return is_refused([&] { setup.decompress(bytes); }, "file: ");
}

void test_damage(const Setup& setup) {
  const std::string sound = setup.compress(likely_text(setup, 60));
  Random random(7);
  for (size_t at = 0; at < sound.size(); ++at) {
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 + random.below(255)));
    CHECK(refuses(setup, bytes));
    CHECK(refuses(setup, sound.substr(0, at)));
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    CHECK(refuses(setup, bytes));
  }
  CHECK(refuses(setup, sound + "x") && refuses(setup, sound.substr(1)));
}

std::string with_right_checksum(std::string bytes) {
  if (bytes.size() < 4) return bytes;
  const uint32_t crc = text_checksum(std::string_view(bytes).substr(0, bytes.size() - 4));
  std::memcpy(bytes.data() + bytes.size() - 4, &crc, sizeof crc);
  return bytes;
}

// The checksum of all is right: the lengths and codes that it stands for are not believed either.
void test_hostile(const Setup& setup) {
  const std::string sound = setup.compress(likely_text(setup, 60));
  CHECK(with_right_checksum(sound) == sound);
  const size_t step = check::is_quick() ? 7 : 1;
  for (size_t at = 0; at < sound.size() - 4; at += step) {
    for (const int value : {0, 1, 0x7F, 0xFF}) {
      std::string bytes = sound;
      if (bytes[at] == static_cast<char>(value)) continue;
      bytes[at] = static_cast<char>(value);
      // Of the positions of contexts, another number may be as good: then it is another text.
      CHECK(refuses(setup, with_right_checksum(bytes)));
    }
    CHECK(refuses(setup, with_right_checksum(sound.substr(0, at))));
  }
}

// 16 bits: of so many damaged messages, few if any pass.
void test_damaged_messages(const Setup& setup) {
  const std::string text = likely_text(setup, 60), sound = setup.compress_message(text);
  CHECK(sound.size() < text.size());
  Random random(8);
  for (size_t at = 0; at < sound.size(); ++at) {
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
    CHECK(is_refused([&] { setup.decompress_message(bytes); }, "message: "));
    CHECK(is_refused([&] { setup.decompress_message(sound.substr(0, at)); }, "message: "));
  }
}

void test_other_models(const Setup& setup, const Setup& other) {
  const std::string text = likely_text(setup, 60);
  const std::string bytes = setup.compress(text), message = setup.compress_message(text);
  CHECK(throws<UnsupportedError>([&] { other.decompress(bytes); }));
  CHECK(throws<FormatError>([&] { other.decompress_message(message); }));
  // A context of other positions is in the file.
  const Compressor wide(setup.tiny.model, std::make_shared<Tokenizer>(setup.tiny.vocabulary), 40);
  CHECK(wide.decompress("file", std::as_bytes(std::span(bytes)), 0, {}, {}) == text);
  CHECK(wide.compress(text, kBlock, {}, {}) != bytes);
  CHECK(wide.compress_message(text, {}) == message);
}

void test_wrong_arguments(const Setup& setup) {
  for (const size_t block : {size_t{0}, CompressedFile::kMostBlock + 1, SIZE_MAX}) {
    CHECK(throws<std::invalid_argument>([&] { setup.compress("a", block); }));
  }
  CHECK(throws<std::invalid_argument>([&] { setup.decompress(setup.compress("a"), -1); }));
  const std::string most(Compressor::kMostMessage + 1, '\xFF');
  CHECK(throws<std::invalid_argument>([&] { setup.compress_message(most); }));
  for (const int n_ctx : {0, 41}) {
    CHECK(throws<std::invalid_argument>([&] {
      const Compressor compressor(setup.tiny.model,
                                  std::make_shared<Tokenizer>(setup.tiny.vocabulary), n_ctx);
    }));
  }
}

void test_interrupt(const Setup& setup) {
  struct Stop {};
  const auto stop = [] { throw Stop(); };
  const std::string text = likely_text(setup, 60), bytes = setup.compress(text);
  int n_stopped = 0;
  try {
    setup.compressor.compress(text, kBlock, {}, stop);
  } catch (const Stop&) {
    ++n_stopped;
  }
  try {
    setup.compressor.decompress("file", std::as_bytes(std::span(bytes)), 0, {}, stop);
  } catch (const Stop&) {
    ++n_stopped;
  }
  CHECK(n_stopped == 2);
  CHECK(setup.decompress(bytes) == text);
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  for (const uint64_t most : {uint64_t{2}, uint64_t{1} << 20, gpt2edge::kMostFrequency}) {
    test_range_coder(1, most);
  }
  for (uint32_t seed = 0; seed < 300; ++seed) test_ends_are_known(seed);
  test_coder_is_close_to_the_entropy();
  test_frequencies();
  test_blocks();
  const Setup setup(1);
  test_comes_back(setup);
  test_threads(setup, Setup(3));
  test_progress(setup);
  test_bytes_never_change(setup);
  test_damage(setup);
  test_hostile(setup);
  test_damaged_messages(setup);
  test_other_models(setup, Setup(1, 2));
  test_wrong_arguments(setup);
  test_interrupt(setup);
  return check::done();
}
