// Rows of activations, a tile at a time.
#pragma once

#include <type_traits>

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// The last rows, fewer than a full tile: the tile of exactly that many.
template <int T, typename Take>
void last_tile(int row, int n, Take& take) {
  if constexpr (T > 0) {
    if (n == T) {
      take(std::integral_constant<int, T>{}, row);
    } else {
      last_tile<T - 1>(row, n, take);
    }
  }
}

// Calls take(width, row) for each tile of the rows from `row` up to `end`; decltype(width)::value
// is how many rows it has.
template <typename Take>
void each_tile(int row, int end, Take take) {
  constexpr int T = Isa::kMaxTokens;
  for (; row + T <= end; row += T) take(std::integral_constant<int, T>{}, row);
  last_tile<T - 1>(row, end - row, take);
}

}  // namespace
}  // namespace gpt2edge::kernels
