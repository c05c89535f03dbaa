// The two things that bound a kernel, done with nothing else around them: multiplying codes that
// stay in registers, and reading memory.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// Independent sums hide the latency of the dot instruction.
constexpr int kTile = Isa::kMaxTokens * Isa::kMaxPanels;
constexpr int kChains = kTile < 8 ? kTile : 8;

// `rounds` times a step of every chain, with codes and inputs of 1. Returns what one lane of one
// chain comes to: 4 a round.
int32_t multiply_codes(int rounds) {
  uint8_t ones[64];
  for (uint8_t& one : ones) one = static_cast<uint8_t>(1 + Isa::kCodeBias);
  // Not a constant to the compiler, which would otherwise do the whole sum beforehand.
  volatile int8_t source = 1;
  int8_t inputs[4 * kChains];
  for (int8_t& input : inputs) input = source;
  const Isa::Codes8 codes = Isa::load_codes8(ones);
  Isa::Dot8 dot[kChains];
  for (int c = 0; c < kChains; ++c) dot[c] = Isa::start8(-4 * Isa::kCodeBias * rounds);
  for (int i = 0; i < rounds; ++i) {
    for (int c = 0; c < kChains; ++c)
      dot[c] = Isa::step8(dot[c], codes, Isa::load_inputs(inputs + 4 * c));
  }
  Isa::Floats sum = Isa::broadcast(0.0f);
  for (int c = 0; c < kChains; ++c) sum = Isa::add(sum, Isa::to_floats(Isa::finish8(dot[c])));
  return static_cast<int32_t>(Isa::sum(sum) / (16 * kChains));
}

// The sum of n floats, a multiple of 64.
float sum_floats(const float* x, size_t n) {
  Isa::Floats sum[4];
  for (auto& s : sum) s = Isa::broadcast(0.0f);
  for (size_t i = 0; i < n; i += 64) {
    for (size_t v = 0; v < 4; ++v) sum[v] = Isa::add(sum[v], Isa::load(x + i + 16 * v));
  }
  return Isa::sum(Isa::add(Isa::add(sum[0], sum[1]), Isa::add(sum[2], sum[3])));
}

}  // namespace
}  // namespace gpt2edge::kernels
