// Feeds bytes to the C library as sequences of calls (c_api_calls.h). With Clang it is a fuzzer:
//
//   cmake -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_FUZZ=ON
//   cmake --build build/fuzz --target fuzz_c_api
//   build/fuzz/tests/cpp/fuzz_c_api -max_total_time=60 -max_len=4096
//
// As one of the programs of GPT2EDGE_TESTS, by any compiler, it draws sequences for some seconds,
// the same ones from the same seed:
//
//   build/asan/tests/cpp/fuzz_c_api SECONDS [SEED [THREADS]]
//
// With threads, each sequence is one of so many that work with the same handles at once, while one
// more ends their texts.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "c_api_calls.h"

using gpt2edge::test::CallWorld;

#if defined(GPT2EDGE_LIBFUZZER)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CallWorld(false).run({data, size});
  return 0;
}

#else

namespace {

std::vector<uint8_t> drawn(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(2000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

void run_at_once(uint32_t seed, uint32_t n_threads) {
  CallWorld world(true);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < n_threads; ++i) {
    threads.emplace_back([&world, i, seed] { world.run(drawn(seed + (i << 24))); });
  }
  world.cancel_some(gpt2edge::test::Choices(drawn(~seed)));
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int n_arguments, char** arguments) {
  const auto number = [&](int i, double otherwise) {
    return i < n_arguments ? std::strtod(arguments[i], nullptr) : otherwise;
  };
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const auto n_threads = static_cast<uint32_t>(number(3, 0));
  const auto first = static_cast<uint32_t>(number(2, 1));
  uint32_t seed = first;
  while (seed == first || seconds() < number(1, 0)) {
    std::fprintf(stderr, "\rseed %u", seed);
    if (n_threads > 0) {
      run_at_once(seed, n_threads);
    } else {
      CallWorld(false).run(drawn(seed));
    }
    ++seed;
  }
  std::fprintf(stderr, "\r");
  std::printf("%u sequences, of %zu calls\n", seed - first, CallWorld::n_calls());
  return 0;
}

#endif
