// Feeds bytes to the GGUF reader. With clang it is a fuzzer, built by
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -DGPT2EDGE_LIBFUZZER -Icsrc
//     tests/cpp/fuzz_gguf.cpp csrc/formats/gguf*.cpp csrc/formats/ggml_blocks.cpp
//     csrc/formats/dequantize.cpp csrc/base/mapped_file.cpp -o fuzz_gguf
// Without "fuzzer" and -DGPT2EDGE_LIBFUZZER it is a program, for any compiler, that reads the files
// it is given and says which of them it accepts.
#include <filesystem>

#include "gguf_bytes.h"

#if defined(GPT2EDGE_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path =
      (std::filesystem::temp_directory_path() / "pygpt2edge-fuzz.gguf").string();
  gpt2edge::test::write_file(path, std::string(reinterpret_cast<const char*>(data), size));
  gpt2edge::test::read_everything(path);
  return 0;
}

#else

int main(int n_arguments, char** arguments) {
  for (int i = 1; i < n_arguments; ++i) {
    const bool accepted = gpt2edge::test::read_everything(arguments[i]);
    std::printf("%s: %s\n", arguments[i], accepted ? "accepted" : "refused");
  }
  return 0;
}

#endif
