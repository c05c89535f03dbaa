// Floats to integer codes: code = round(x * largest code / max|x|), ties to even; x is about scale
// * code. Codes of 8 bits go to 127; of 16 bits as far as the sums of their products fit 32 bits.
#pragma once

#include <string.h>

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/algorithms/softmax.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

constexpr float kLargestCode = 127.0f;

GPT2EDGE_INLINE Isa::Floats magnitude(Isa::Floats x) {
  return Isa::max(x, Isa::sub(Isa::broadcast(0.0f), x));
}

// 1 / scale for numbers up to `largest`; 0 where they are all zero or too large for a scale, as
// only a broken model has them: no infinity reaches the codes.
GPT2EDGE_INLINE float inverse_scale(float largest, float largest_code = kLargestCode) {
  return largest >= 1e-30f && largest <= 1e38f ? largest_code / largest : 0.0f;
}

// 16 numbers, not yet rounded to codes. The clamp also turns a NaN into a number.
GPT2EDGE_INLINE Isa::Floats scaled_to_codes(Isa::Floats x, Isa::Floats inverse,
                                            float largest_code = kLargestCode) {
  return Isa::min(Isa::max(Isa::mul(x, inverse), Isa::broadcast(-largest_code)),
                  Isa::broadcast(largest_code));
}

// What a cache keeps: its codes, how many of them a step of a dot product multiplies and adds, and
// the largest ones.
struct Int8Codes {
  using Code = int8_t;
  using Bits = Isa::Bits8;
  static constexpr int kStep = 4;
  static constexpr float largest_in_keys(int) { return kLargestCode; }
  static constexpr float kLargestInValues = kLargestCode;

  static void store(Code* to, Isa::Floats shifted) { Isa::store_low_bytes(to, shifted); }
  // Of 16 codes, what a dot product starts with for them.
  static int32_t start(const Code* codes) {
    return -Isa::kCodeBias * Isa::sum_codes(codes, codes).low;
  }
  // Adds the dot products' bias to 16 codes: adding 128 flips the top bit.
  static void add_bias(Code* codes) {
    uint64_t halves[2];
    memcpy(halves, codes, 16);
    for (uint64_t& half : halves) half ^= Isa::kCodeBias == 0 ? 0 : 0x8080808080808080u;
    memcpy(codes, halves, 16);
  }
};
struct Int16Codes {
  using Code = int16_t;
  using Bits = Isa::Bits16;
  static constexpr int kStep = 2;
  static constexpr int32_t kLargestSum = 0x7FFFFFFF;
  static float largest_in_keys(int d_head) {
    const int32_t square = kLargestSum / padded_to_16(d_head);
    auto code = static_cast<int32_t>(Isa::sqrt_lane(static_cast<float>(square)));
    if (code * code > square) --code;
    return static_cast<float>(code);
  }
  static constexpr float kLargestInValues = 8191;
  static_assert(kBlockPositions * int64_t{8191} * 8191 <= kLargestSum);

  static void store(Code* to, Isa::Floats shifted) { Isa::store_low_halves(to, shifted); }
  static int32_t start(const Code*) { return 0; }
  static void add_bias(Code*) {}
};

// 16 numbers to codes.
template <typename Kind>
GPT2EDGE_INLINE void quantize_16(Isa::Floats x, Isa::Floats inverse, float largest_code,
                                 typename Kind::Code* codes) {
  const Isa::Floats shift = Isa::broadcast(kRoundingShift);
  Kind::store(codes, Isa::add(scaled_to_codes(x, inverse, largest_code), shift));
}

// Prefetches n numbers that are read soon.
GPT2EDGE_INLINE void prefetch_row(const float* x, int n) {
  for (int i = 0; i < n; i += 16) GPT2EDGE_PREFETCH(x + i);
}

// The next 16 of n numbers, with zeros after the last.
GPT2EDGE_INLINE Isa::Floats load_up_to_16(const float* x, int n) {
  if (n >= 16) return Isa::load(x);
  float tail[16] = {};
  for (int i = 0; i < n; ++i) tail[i] = x[i];
  return Isa::load(tail);
}

// A vector of n numbers that share one scale. `take` is called for every 16 codes, with the index
// of the first and the codes; those past n are zero.
struct QuantizedVector {
  float scale;
  int32_t start;  // of dot products with it
};
template <typename Kind, typename Take>
GPT2EDGE_INLINE QuantizedVector quantize_vector(const float* x, int n, float largest_code,
                                                Take take) {
  Isa::Floats largest_lanes = Isa::broadcast(0.0f);
  for (int i = 0; i < n; i += 16) {
    largest_lanes = Isa::max(largest_lanes, magnitude(load_up_to_16(x + i, n - i)));
  }
  const float largest = Isa::max_lane(largest_lanes);
  const Isa::Floats inverse = Isa::broadcast(inverse_scale(largest, largest_code));
  QuantizedVector result = {largest / largest_code, 0};
  for (int i = 0; i < n; i += 16) {
    typename Kind::Code codes[16];
    quantize_16<Kind>(load_up_to_16(x + i, n - i), inverse, largest_code, codes);
    result.start += Kind::start(codes);
    take(i, codes);
  }
  return result;
}

}  // namespace
}  // namespace gpt2edge::kernels
