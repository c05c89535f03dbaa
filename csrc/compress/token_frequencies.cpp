#include "compress/token_frequencies.h"

#include <algorithm>
#include <array>

#include "generate/sampling/portable_math.h"

namespace gpt2edge {
namespace {

constexpr size_t kBlock = 64;
constexpr float kScale = 0x1p30F;
constexpr float kLeastExponent = -87.0F;  // whose frequency is 1, as that of all below it

static_assert(kMostCodedTokens * ((uint64_t{1} << 30) + 1) <= kMostFrequency);

using Block = std::array<uint32_t, kBlock>;

// Of up to kBlock logits; zeros behind them. In whole blocks and two loops, which compilers
// vectorize.
Block frequencies(std::span<const float> logits, float greatest) {
  std::array<float, kBlock> padded;
  const float* values = logits.data();
  if (logits.size() < kBlock) {
    std::fill(std::copy(logits.begin(), logits.end(), padded.begin()), padded.end(), greatest);
    values = padded.data();
  }
  std::array<float, kBlock> exponents;
  for (size_t i = 0; i < kBlock; ++i) {
    exponents[i] = std::max(values[i] - greatest, kLeastExponent);
  }
  Block found;
  for (size_t i = 0; i < kBlock; ++i) {
    const float weight = portable_exp_float_in_range(exponents[i]) * kScale;
    found[i] = static_cast<uint32_t>(static_cast<int32_t>(weight)) + 1;
  }
  for (size_t i = logits.size(); i < kBlock; ++i) found[i] = 0;
  return found;
}

uint64_t sum_of(const Block& block) {
  uint64_t sum = 0;
  for (const uint32_t n : block) sum += n;
  return sum;
}

}  // namespace

TokenFrequencies::TokenFrequencies(std::span<const float> logits, float greatest)
    : logits_(logits), greatest_(greatest) {
  const size_t n_blocks = (logits.size() + kBlock - 1) / kBlock;
  block_sums_.reserve(n_blocks);
  for (size_t i = 0; i < n_blocks; ++i) {
    block_sums_.push_back(sum_of(frequencies(block(i), greatest_)));
    total_ += block_sums_.back();
  }
}

std::span<const float> TokenFrequencies::block(size_t index) const {
  const size_t first = kBlock * index;
  return logits_.subspan(first, std::min(kBlock, logits_.size() - first));
}

FrequencyInterval TokenFrequencies::of(int32_t token) const {
  const size_t index = static_cast<size_t>(token) / kBlock;
  const size_t within = static_cast<size_t>(token) % kBlock;
  uint64_t start = 0;
  for (size_t i = 0; i < index; ++i) start += block_sums_[i];
  const Block here = frequencies(block(index), greatest_);
  for (size_t i = 0; i < within; ++i) start += here[i];
  return {start, here[within], total_};
}

TokenFrequencies::Found TokenFrequencies::at(uint64_t place) const {
  uint64_t start = 0;
  size_t index = 0;
  while (place - start >= block_sums_[index]) start += block_sums_[index++];
  const Block here = frequencies(block(index), greatest_);
  size_t within = 0;
  while (place - start >= here[within]) start += here[within++];
  return {static_cast<int32_t>(kBlock * index + within), {start, here[within], total_}};
}

}  // namespace gpt2edge
