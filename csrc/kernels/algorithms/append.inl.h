// Stores keys and values in a head's cache.
#pragma once

#include <string.h>

#include "kernels/algorithms/codes.inl.h"
#include "kernels/algorithms/softmax.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// ---- as floats ----

// How a cache stores a number.
struct F32Number {
  using Bits = uint32_t;
  static void store(Isa::Floats x, Bits* out) { Isa::store(reinterpret_cast<float*>(out), x); }
};
struct F16Number {
  using Bits = uint16_t;
  static void store(Isa::Floats x, Bits* out) {
    Isa::store_f16(reinterpret_cast<uint8_t*>(out), x);
  }
};

// Converts 16 numbers at a time; the padding from n to the next multiple of 16 becomes zero.
template <typename Number>
void convert_row(const float* x, int n, typename Number::Bits* out) {
  for (int i = 0; i < n; i += 16) Number::store(load_up_to_16(x + i, n - i), out + i);
}

constexpr int kMaxChunk = 128;  // dimensions of a key that are converted before they are scattered

template <typename Number>
void append_row(const HeadCache& cache, const float* key, const float* value, int position) {
  using Bits = typename Number::Bits;
  std::byte* page = cache.pages[position / kPagePositions];
  const auto at = static_cast<size_t>(position % kPagePositions);
  const size_t d_padded = static_cast<size_t>(padded_to_16(cache.d_head));
  convert_row<Number>(value, cache.d_head,
                      reinterpret_cast<Bits*>(page + cache.values) + d_padded * at);
  Bits* column = reinterpret_cast<Bits*>(page + cache.keys) + at;
  for (int d = 0; d < cache.d_head; d += kMaxChunk) {
    const int n = cache.d_head - d < kMaxChunk ? cache.d_head - d : kMaxChunk;
    Bits converted[kMaxChunk];
    convert_row<Number>(key + d, n, converted);
    for (int i = 0; i < n; ++i) column[kPagePositions * (d + i)] = converted[i];
  }
}

// ---- as int8 codes ----

// 16 codes with the dot products' bias: adding 128 flips the top bit.
struct BiasedCodes {
  explicit BiasedCodes(const int8_t* codes) {
    uint64_t halves[2];
    memcpy(halves, codes, 16);
    for (uint64_t& half : halves) half ^= Isa::kCodeBias == 0 ? 0 : 0x8080808080808080u;
    memcpy(code, halves, 16);
  }
  uint8_t code[16];
};

void append_codes(const HeadCache& cache, const float* key, const float* value, int position) {
  const size_t d_padded = static_cast<size_t>(padded_to_16(cache.d_head));
  std::byte* page = cache.pages[position / kPagePositions];
  const auto at = static_cast<size_t>(position % kPagePositions);
  auto* keys =
      reinterpret_cast<uint8_t*>(page + cache.keys) + at / 16 * 16 * d_padded + at % 16 * 4;
  const QuantizedVector k = quantize_vector(key, cache.d_head, [&](int d, const int8_t* codes) {
    const BiasedCodes biased(codes);
    for (int i = 0; i < 16; i += 4) memcpy(keys + 16 * (d + i), biased.code + i, 4);
  });
  auto* values = reinterpret_cast<uint8_t*>(page + cache.values) + at / 4 * 4 * d_padded + at % 4;
  const QuantizedVector v = quantize_vector(value, cache.d_head, [&](int d, const int8_t* codes) {
    const BiasedCodes biased(codes);
    for (int i = 0; i < 16; ++i) values[4 * (d + i)] = biased.code[i];
  });
  reinterpret_cast<float*>(page + cache.key_scales)[at] = k.scale;
  reinterpret_cast<float*>(page + cache.value_scales)[at] = v.scale;
}

// The rows of one head are far apart in memory, which the hardware prefetcher does not follow.
constexpr int kPrefetchRows = 4;

template <typename AppendRow>
void append_rows(const AppendArgs& args, AppendRow append_one) {
  for (int i = 0; i < args.n_rows; ++i) {
    if (i + kPrefetchRows < args.n_rows) {
      prefetch_row(args.keys + args.stride * (i + kPrefetchRows), args.cache.d_head);
      prefetch_row(args.values + args.stride * (i + kPrefetchRows), args.cache.d_head);
    }
    append_one(args.cache, args.keys + args.stride * i, args.values + args.stride * i,
               args.first_position + i);
  }
}

void append(const AppendArgs& args) {
  switch (args.cache.type) {
    case CacheType::kF32:
      return append_rows(args, append_row<F32Number>);
    case CacheType::kF16:
      return append_rows(args, append_row<F16Number>);
    case CacheType::kInt8:
      return append_rows(args, append_codes);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
