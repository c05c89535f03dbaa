// Floats to int8 codes: code = round(x * 127 / max|x|), ties to even; x is about scale * code.
#pragma once

#include <string.h>

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

constexpr float kLargestCode = 127.0f;

GPT2EDGE_INLINE Isa::Floats magnitude(Isa::Floats x) {
  return Isa::max(x, Isa::sub(Isa::broadcast(0.0f), x));
}

// 1 / scale for numbers up to `largest`; 0 where they are all zero or too large for a scale, as
// only a broken model has them: no infinity reaches the codes.
GPT2EDGE_INLINE float inverse_scale(float largest) {
  return largest >= 1e-30f && largest <= 1e38f ? kLargestCode / largest : 0.0f;
}

// 16 numbers, not yet rounded to codes. The clamp also turns a NaN into a number.
GPT2EDGE_INLINE Isa::Floats scaled_to_codes(Isa::Floats x, Isa::Floats inverse) {
  return Isa::min(Isa::max(Isa::mul(x, inverse), Isa::broadcast(-kLargestCode)),
                  Isa::broadcast(kLargestCode));
}

// 16 numbers to codes.
GPT2EDGE_INLINE void quantize_16(Isa::Floats x, Isa::Floats inverse, int8_t* codes) {
  const Isa::Floats shift = Isa::broadcast(kRoundingShift);
  Isa::store_low_bytes(codes, Isa::add(scaled_to_codes(x, inverse), shift));
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
  int32_t sum;  // of the codes
};
template <typename Take>
GPT2EDGE_INLINE QuantizedVector quantize_vector(const float* x, int n, Take take) {
  Isa::Floats largest_lanes = Isa::broadcast(0.0f);
  for (int i = 0; i < n; i += 16) {
    largest_lanes = Isa::max(largest_lanes, magnitude(load_up_to_16(x + i, n - i)));
  }
  const float largest = Isa::max_lane(largest_lanes);
  const Isa::Floats inverse = Isa::broadcast(inverse_scale(largest));
  QuantizedVector result = {largest / kLargestCode, 0};
  for (int i = 0; i < n; i += 16) {
    int8_t codes[16];
    quantize_16(load_up_to_16(x + i, n - i), inverse, codes);
    result.sum += Isa::sum_codes(codes, codes).low;
    take(i, codes);
  }
  return result;
}

}  // namespace
}  // namespace gpt2edge::kernels
