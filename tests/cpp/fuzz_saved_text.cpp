// Feeds bytes to what resumes saved texts, of a small model: they are refused, or a text goes on to
// its end. With Clang it is a fuzzer:
//
//   cmake -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_FUZZ=ON
//   cmake --build build/fuzz --target fuzz_saved_text
//   build/fuzz/tests/cpp/fuzz_saved_text -max_total_time=60 -max_len=100000 CORPUS
//
// As one of the programs of GPT2EDGE_TESTS, by any compiler, it reads the files it is given and
// says how many tokens each text has in the end; for a folder it writes sound ones there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"
#include "formats/crc32c.h"
#include "generate/text.h"
#include "tiny_model.h"

namespace {

using namespace gpt2edge;

const std::string kName = "file";
constexpr int64_t kMostTokens = 8;

const ContextOptions kContexts{20, kernels::CacheType::kF16};

const test::TinyModel& small_model() {
  static const test::TinyModel kept = test::tiny_model({.n_ctx = 20});
  return kept;
}

// Bytes whose checksum is made right, or hardly anything would pass it.
std::string with_checksum(std::string bytes) {
  if (bytes.size() < sizeof(uint32_t)) return bytes;
  const size_t n = bytes.size() - sizeof(uint32_t);
  const uint32_t checksum = crc32c(0, reinterpret_cast<const uint8_t*>(bytes.data()), n);
  std::memcpy(bytes.data() + n, &checksum, sizeof checksum);
  return bytes;
}

// The tokens of the text in the end. Its options may be such that it ends in an error: a token may
// be biased that there is not, or every token forbidden, and its keys and values may be no numbers.
size_t run(Text& text) {
  try {
    text.run({});
  } catch (const FormatError&) {
  } catch (const ContextLengthError&) {
  } catch (const std::invalid_argument&) {
  }
  const TextState state = text.state();
  return state.prompt.size() + state.tokens.size();
}

// The same, or 0 where it is refused.
size_t resume(const std::string& bytes) {
  try {
    return run(*Text::resume(kName, std::as_bytes(std::span(bytes)), small_model().model,
                             small_model().vocabulary, kContexts, kMostTokens, {}));
  } catch (const FormatError& error) {
    if (!std::string_view(error.what()).starts_with(kName)) std::abort();
  } catch (const UnsupportedError&) {
  }
  return 0;
}

size_t resume_both(const std::string& bytes) {
  resume(bytes);
  return resume(with_checksum(bytes));
}

}  // namespace

#if defined(GPT2EDGE_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  resume_both({reinterpret_cast<const char*>(data), size});
  return 0;
}

#else

namespace {

// Before and within a text, and behind one that has slid.
void write_sound_texts(const std::filesystem::path& folder) {
  for (const int64_t n : {0, 3, 50}) {
    TextOptions options;
    options.max_tokens = 500;
    options.stop = {"never"};
    options.logprobs = 2;
    options.context_overflow = Overflow::kSlide;
    options.sampling.seed = 1;
    options.sampling.logit_bias = {{3, 0.5f}};
    options.sampling.dry_multiplier = 0.5;
    Text text(small_model().model, small_model().vocabulary, kContexts, {1, 2, 3}, options);
    for (int64_t i = 0; i < n; ++i) text.next({});
    std::ofstream file(folder / std::to_string(n), std::ios::binary);
    text.save([&](std::span<const std::byte> bytes) {
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    });
  }
}

}  // namespace

int main(int n_arguments, char** arguments) {
  for (int i = 1; i < n_arguments; ++i) {
    if (std::filesystem::is_directory(arguments[i])) {
      write_sound_texts(arguments[i]);
      continue;
    }
    std::ifstream file(arguments[i], std::ios::binary);
    std::printf("%s: %zu tokens\n", arguments[i],
                resume_both({std::istreambuf_iterator<char>(file), {}}));
  }
  return 0;
}

#endif
