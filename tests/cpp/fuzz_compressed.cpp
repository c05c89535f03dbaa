// Feeds bytes to what reads compressed texts, with a small vocabulary and probabilities that are
// made up: they are refused, or are the code of some text. And the bytes themselves, as a text,
// have a code that they come back from. With Clang it is a fuzzer:
//
//   cmake -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_FUZZ=ON
//   cmake --build build/fuzz --target fuzz_compressed
//   build/fuzz/tests/cpp/fuzz_compressed -max_total_time=60 -max_len=4096
//
// As one of the programs of GPT2EDGE_TESTS, by any compiler, it reads the files it is given and
// says how many blocks they have.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "compress/compressed_file.h"
#include "compress/text_decoder.h"
#include "compress/token_frequencies.h"
#include "small_vocabulary.h"
#include "tokenize/tokenizer.h"

namespace {

using namespace gpt2edge;

constexpr size_t kMostSteps = 2000;
const std::string kName = "file";

const Tokenizer& tokenizer() {
  static const Tokenizer kept(test::small_vocabulary().tables());
  return kept;
}

// After n tokens; more of them than the vocabulary has.
struct Prediction {
  std::vector<float> logits;
  float greatest;
  explicit Prediction(size_t n) : logits(tokenizer().tables()->token_bytes.size() + 3) {
    for (size_t i = 0; i < logits.size(); ++i) {
      logits[i] = static_cast<float>((i * 7919 + n * 104729) % 1009) / 32.0F - 15.0F;
    }
    greatest = *std::max_element(logits.begin(), logits.end());
  }
};

void decode(TextDecoder text) {
  for (size_t n = 0; n < kMostSteps && !text.done(); ++n) {
    const Prediction prediction(n);
    text.add(prediction.logits, prediction.greatest);
  }
}

void decode_file(std::span<const std::byte> bytes, size_t& n_blocks) {
  const CompressedFile file = CompressedFile::read(kName, bytes);
  n_blocks = file.blocks.size();
  for (const auto& block : file.blocks) {
    if (!block.is_stored()) {
      decode(TextDecoder::of_length(kName, *tokenizer().tables(), block.code, block.n_text));
    }
  }
}

// Whether they are refused in the way that they may be.
template <typename Action>
bool is_refused(const Action& action) {
  try {
    action();
  } catch (const FormatError& error) {
    if (!std::string_view(error.what()).starts_with(kName)) std::abort();
    return true;
  } catch (const UnsupportedError&) {
    return true;
  }
  return false;
}

void check_code_of(std::string_view text) {
  const auto tokens = tokenizer().encode_bytes(text);
  if (!tokens || tokenizer().decode(*tokens) != text) std::abort();
  RangeEncoder encoder;
  for (size_t n = 0; n < tokens->size(); ++n) {
    const Prediction prediction(n);
    encoder.encode(TokenFrequencies(prediction.logits, prediction.greatest).of((*tokens)[n]));
  }
  const std::string code = encoder.finish();
  TextDecoder decoder = TextDecoder::of_length(kName, *tokenizer().tables(),
                                               std::as_bytes(std::span(code)), text.size());
  while (!decoder.done()) {
    const Prediction prediction(decoder.tokens().size());
    decoder.add(prediction.logits, prediction.greatest);
  }
  if (decoder.text() != text) std::abort();
}

// The number of blocks; none where the bytes are refused.
size_t read_all(std::string bytes) {
  size_t n_blocks = 0, n_made_right = 0;
  is_refused([&] { decode_file(std::as_bytes(std::span(bytes)), n_blocks); });
  is_refused([&] {
    const auto is_whole = [](std::string_view text) { return text.ends_with('a'); };
    decode(TextDecoder::until_whole(kName, *tokenizer().tables(), std::as_bytes(std::span(bytes)),
                                    kMostSteps, is_whole));
  });
  check_code_of(std::string_view(bytes).substr(0, kMostSteps));
  // The checksum of all is made right, or hardly anything would pass it.
  if (bytes.size() < sizeof(uint32_t)) return n_blocks;
  const size_t n = bytes.size() - sizeof(uint32_t);
  const uint32_t checksum = text_checksum(std::string_view(bytes).substr(0, n));
  std::memcpy(bytes.data() + n, &checksum, sizeof checksum);
  is_refused([&] { decode_file(std::as_bytes(std::span(bytes)), n_made_right); });
  return n_blocks;
}

}  // namespace

#if defined(GPT2EDGE_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read_all({reinterpret_cast<const char*>(data), size});
  return 0;
}

#else

int main(int n_arguments, char** arguments) {
  for (int i = 1; i < n_arguments; ++i) {
    std::ifstream file(arguments[i], std::ios::binary);
    std::printf("%s: %zu blocks\n", arguments[i],
                read_all({std::istreambuf_iterator<char>(file), {}}));
  }
  return 0;
}

#endif
