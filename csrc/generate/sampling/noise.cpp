#include "generate/sampling/noise.h"

#include "generate/sampling/portable_math.h"
#include "generate/sampling/random.h"

namespace gpt2edge {
namespace {

constexpr uint32_t kLeastStream = 0, kExcessStream = 2;

// -ln(1 - v) for v = (bits + 1/2) / 2^64, with the same precision for the smallest.
double exponential(uint64_t bits) {
  if (bits < uint64_t{1} << 44) {
    const double v = (static_cast<double>(bits) + 0.5) * 0x1p-64;
    return v * (1 + v * (0.5 + v * (1.0 / 3)));  // the first term left out is below 2^-62 of it
  }
  return -portable_log((static_cast<double>(~bits >> 11) + 0.5) * 0x1p-53);
}

}  // namespace

LeastNoise Noise::least_of(size_t block) const {
  const RandomWords words = random_words(seed_, draw_, kLeastStream, static_cast<uint32_t>(block));
  const size_t token = kNoiseBlock * block + words[2] % kNoiseBlock;
  return {exponential(first_half(words)) / kNoiseBlock, static_cast<int32_t>(token)};
}

LeastNoise Noise::least_beside(int32_t token) const {
  return least_of(static_cast<size_t>(token) / kNoiseBlock);
}

double Noise::of(int32_t token, const LeastNoise& least) const {
  if (token == least.token) return least.noise;
  const auto index = static_cast<uint32_t>(token);
  return least.noise + exponential(first_half(random_words(seed_, draw_, kExcessStream, index)));
}

}  // namespace gpt2edge
