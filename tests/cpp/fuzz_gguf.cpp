// Feeds bytes to the GGUF reader. With Clang it is a fuzzer:
//
//   cmake -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_FUZZ=ON
//   cmake --build build/fuzz --target fuzz_gguf
//   build/fuzz/tests/cpp/fuzz_gguf -max_total_time=60 -max_len=4096
//
// As one of the programs of GPT2EDGE_TESTS, by any compiler, it reads the files it is given and
// says which of them it accepts.
#include "gguf_bytes.h"

#if defined(GPT2EDGE_LIBFUZZER)
#include <unistd.h>

#include <filesystem>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A file for each process: the fuzzer can run several at a time.
  static const std::string path = std::filesystem::temp_directory_path() /
                                  ("pygpt2edge-fuzz-" + std::to_string(getpid()) + ".gguf");
  gpt2edge::test::write_file(path, std::string(reinterpret_cast<const char*>(data), size));
  gpt2edge::test::read_everything(path);
  std::filesystem::remove(path);  // a new file each time: writing over one can wait for the disk
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
