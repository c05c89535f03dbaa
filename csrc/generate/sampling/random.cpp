#include "generate/sampling/random.h"

#include <random>

namespace gpt2edge {
namespace {

constexpr int kRounds = 10;
constexpr uint64_t kMultiplier0 = 0xD2511F53;
constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;  // added to the key after each round
constexpr uint32_t kWeyl1 = 0xBB67AE85;

uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t high(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

RandomWords random_words(uint64_t seed, uint64_t draw, uint32_t stream, uint32_t index) {
  RandomWords counter{low(draw), high(draw), stream, index};
  uint32_t key0 = low(seed);
  uint32_t key1 = high(seed);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {high(product1) ^ counter[1] ^ key0, low(product1),
               high(product0) ^ counter[3] ^ key1, low(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

double random_uniform(uint64_t seed, uint64_t draw, uint32_t stream) {
  return static_cast<double>(first_half(random_words(seed, draw, stream)) >> 11) * 0x1p-53;
}

uint64_t drawn_seed() {
  std::random_device source;  // 32 bits at a time
  const uint64_t high = source();
  return high << 32 | source();
}

}  // namespace gpt2edge
