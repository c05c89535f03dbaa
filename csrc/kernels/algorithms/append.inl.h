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

// ---- as codes ----

template <typename Kind>
void append_codes(const HeadCache& cache, const float* key, const float* value, int position) {
  using Code = typename Kind::Code;
  constexpr int kStep = Kind::kStep;
  const size_t d_padded = static_cast<size_t>(padded_to_16(cache.d_head));
  std::byte* page = cache.pages[position / kPagePositions];
  const auto at = static_cast<size_t>(position % kPagePositions);
  Code* keys =
      reinterpret_cast<Code*>(page + cache.keys) + at / 16 * 16 * d_padded + at % 16 * kStep;
  const QuantizedVector k = quantize_vector<Kind>(
      key, cache.d_head, Kind::largest_in_keys(cache.d_head), [&](int d, Code* codes) {
        Kind::add_bias(codes);
        for (int i = 0; i < 16; i += kStep) memcpy(keys + 16 * (d + i), codes + i, 4);
      });
  Code* values =
      reinterpret_cast<Code*>(page + cache.values) + at / kStep * kStep * d_padded + at % kStep;
  const QuantizedVector v =
      quantize_vector<Kind>(value, cache.d_head, Kind::kLargestInValues, [&](int d, Code* codes) {
        Kind::add_bias(codes);
        for (int i = 0; i < 16; ++i) values[kStep * (d + i)] = codes[i];
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
      return append_rows(args, append_codes<Int8Codes>);
    case CacheType::kInt16:
      return append_rows(args, append_codes<Int16Codes>);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
