// Activations to int8, a scale per row and 32 inputs.
#pragma once

#include <string.h>

#include "kernels/algorithms/codes.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// What an instruction set may have a faster way for: T rows, one after the other.
template <int T>
struct RowCodes {
  static GPT2EDGE_INLINE void max_lanes(const Isa::Floats (&row)[T], float* greatest) {
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) greatest[t] = Isa::max_lane(row[t]);
  }
  static GPT2EDGE_INLINE void store(const Isa::Floats (&low)[T], const Isa::Floats (&high)[T],
                                    int8_t* codes, int32_t* sums, int32_t* products) {
    const Isa::Floats shift = Isa::broadcast(kRoundingShift);
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) {
      int8_t row[32];
      Isa::store_low_bytes(row, Isa::add(low[t], shift));
      Isa::store_low_bytes(row + 16, Isa::add(high[t], shift));
      const auto [low_sum, high_sum] = Isa::sum_codes(row, row + 16);
      int8_t* to = codes + 4 * t;
      for (int step = 0; step < 8; ++step, to += 4 * T) memcpy(to, row + 4 * step, 4);
      sums[t] = low_sum;
      sums[T + t] = high_sum;
      products[t] = Isa::Pairs::products(row);
    }
  }
};

// 32 inputs of each of the T rows of a tile become codes; `first` is the place of the block's first
// scale. `out` is passed by value: byte stores may alias a reference, and the compiler would reload
// it after each.
template <int T>
GPT2EDGE_INLINE void quantize_block(const Isa::Floats (&low)[T], const Isa::Floats (&high)[T],
                                    const QuantizedRows out, size_t first) {
  using Codes = Isa::TileCodes<T, RowCodes<T>>;
  Isa::Floats magnitudes[T], low_codes[T], high_codes[T];
  GPT2EDGE_UNROLL
  for (int t = 0; t < T; ++t) magnitudes[t] = Isa::max(magnitude(low[t]), magnitude(high[t]));
  float largest[T + 2];
  Codes::max_lanes(magnitudes, largest);
  GPT2EDGE_UNROLL
  for (int t = 0; t < T; ++t) {
    const Isa::Floats inverse = Isa::broadcast(inverse_scale(largest[t]));
    low_codes[t] = scaled_to_codes(low[t], inverse);
    high_codes[t] = scaled_to_codes(high[t], inverse);
  }
  int32_t sums[2 * T], products[T];
  Codes::store(low_codes, high_codes, out.codes + first * kBlockInputs, sums, products);
  memcpy(out.sums + 2 * first, sums, sizeof sums);
  GPT2EDGE_UNROLL
  for (int t = 0; t < T; ++t) {
    const int32_t sum = sums[t] + sums[T + t];
    const float scale = largest[t] / kLargestCode;
    out.scales[first + t] = scale;
    out.starts8[first + t] = -Isa::kCodeBias * sum - products[t];
    out.starts4[first + t] = -8 * sum;
    out.scaled_sums[first + t] = static_cast<float>(sum) * scale;
  }
}

// The tile of exactly so many rows.
template <int T>
void quantize_rows(const QuantizeArgs& args) {
  if constexpr (T > 0) {
    if (args.n_rows < T) return quantize_rows<T - 1>(args);
    const int n_blocks = args.n_in / kBlockInputs;
    const int all_in = args.all_in > 0 ? args.all_in : args.n_in;
    const size_t first = static_cast<size_t>(args.first_row) * (all_in / kBlockInputs) +
                         static_cast<size_t>(args.first_in / kBlockInputs) * T;
    for (int b = 0; b < n_blocks; ++b) {
      const float* x = args.values + kBlockInputs * b;
      Isa::Floats low[T], high[T];
      GPT2EDGE_UNROLL
      for (int t = 0; t < T; ++t, x += args.stride) {
        low[t] = Isa::load(x);
        high[t] = Isa::load(x + 16);
      }
      quantize_block<T>(low, high, args.out, first + static_cast<size_t>(b) * T);
    }
  }
}

void quantize_tile(const QuantizeArgs& args) { quantize_rows<Isa::kMaxTokens>(args); }

}  // namespace
}  // namespace gpt2edge::kernels
