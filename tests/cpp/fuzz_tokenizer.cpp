// Feeds bytes to the tokenizer, with a small vocabulary: text comes back from its tokens, with
// U+FFFD for what was not UTF-8. With Clang it is a fuzzer:
//
//   cmake -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_FUZZ=ON
//   cmake --build build/fuzz --target fuzz_tokenizer
//   build/fuzz/tests/cpp/fuzz_tokenizer -max_total_time=60 -max_len=4096
//
// As one of the programs of GPT2EDGE_TESTS, by any compiler, it reads the files it is given and
// says how many tokens they have.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "small_vocabulary.h"
#include "tokenize/tokenizer.h"
#include "tokenize/utf8.h"

namespace {

// The number of tokens. Ends the program when they are not those of the text.
size_t count_tokens(std::string_view text) {
  static const gpt2edge::Tokenizer tokenizer(gpt2edge::test::small_vocabulary().tables());
  const std::string whole = gpt2edge::repaired_utf8(text).value_or(std::string(text));
  const auto tokens = tokenizer.encode(text);
  if (tokenizer.decode(tokens) != whole) std::abort();
  if (tokenizer.decode(tokenizer.encode(text, true)) != whole) std::abort();
  if (tokenizer.encode(whole) != tokens) std::abort();
  return tokens.size();
}

}  // namespace

#if defined(GPT2EDGE_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  count_tokens({reinterpret_cast<const char*>(data), size});
  return 0;
}

#else

int main(int n_arguments, char** arguments) {
  for (int i = 1; i < n_arguments; ++i) {
    std::ifstream file(arguments[i], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::printf("%s: %zu tokens\n", arguments[i], count_tokens(text));
  }
  return 0;
}

#endif
