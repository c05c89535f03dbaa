// The two limits of a kernel, measured alone: multiply-adds of codes held in registers, and memory
// reads.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// Whatever `data` points to may have changed here, for all the compiler knows.
inline void forget(const void* data) {
#if defined(_MSC_VER) && !defined(__clang__)
  static const void* volatile seen;
  seen = data;
  _ReadWriteBarrier();
#else
  asm volatile("" : : "r"(data) : "memory");
#endif
}

// The largest tile of a matmul: independent sums that hide the latency of the dot instruction.
using PeakRows = Isa::Rows<Isa::Bits8, Isa::kMaxTokens>;
constexpr int kPeakPanels = Isa::kMaxPanels;
constexpr int kPeakDots = PeakRows::kSteps * Isa::kMaxTokens * kPeakPanels;

// `rounds` times a step of every sum, with codes and inputs of 1. Returns the final value of one
// lane of one sum: 4 a round.
int32_t multiply_codes(int rounds) {
  uint8_t ones[64 * PeakRows::kSteps];
  for (uint8_t& one : ones) one = static_cast<uint8_t>(1 + Isa::kCodeBias);
  // Volatile, or the compiler would compute the whole sum at compile time.
  volatile int8_t source = 1;
  int8_t inputs[4 * PeakRows::kSteps * Isa::kMaxTokens + 4];  // as QuantizedRows has them
  for (int8_t& input : inputs) input = source;
  int32_t starts[Isa::kMaxTokens];
  for (int32_t& start : starts) start = -4 * PeakRows::kSteps * Isa::kCodeBias * rounds;

  PeakRows::Codes codes[kPeakPanels];
  PeakRows::Dots dots[kPeakPanels];
  for (int p = 0; p < kPeakPanels; ++p) {
    forget(ones);  // the same products would be computed once
    codes[p] = PeakRows::load(ones);
    dots[p] = PeakRows::start(starts);
  }
  for (int i = 0; i < rounds; ++i) {
    PeakRows::step(dots, codes, inputs);
    forget(inputs);  // what a step does to its inputs alone, it does every time
  }
  Isa::Floats total = Isa::broadcast(0.0f);
  for (int p = 0; p < kPeakPanels; ++p) {
    Isa::Floats sums[Isa::kMaxTokens];
    PeakRows::finish(dots[p], starts, sums);
    for (const Isa::Floats& sum : sums) total = Isa::add(total, sum);
  }
  return static_cast<int32_t>(Isa::sum(total) / (16 * kPeakDots));
}

// The sum of n floats, a multiple of 64. They are prefetched as far ahead as matmul prefetches
// weights: the hardware prefetcher stops at the end of a page.
float sum_floats(const float* x, size_t n, bool prefetch) {
  constexpr size_t kDistance = 4096;
  Isa::Floats sum[4];
  for (auto& s : sum) s = Isa::broadcast(0.0f);
  for (size_t i = 0; i < n; i += 64) {
    for (size_t v = 0; v < 4; ++v) {
      if (prefetch && i + kDistance < n) GPT2EDGE_PREFETCH_L2(x + i + kDistance + 16 * v);
      sum[v] = Isa::add(sum[v], Isa::load(x + i + 16 * v));
    }
  }
  return Isa::sum(Isa::add(Isa::add(sum[0], sum[1]), Isa::add(sum[2], sum[3])));
}

}  // namespace
}  // namespace gpt2edge::kernels
