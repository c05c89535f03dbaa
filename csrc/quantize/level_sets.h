// The nearest level to a number, for both kinds of sets; for the loops that try many scales.
#pragma once

#include <array>

#include "formats/code_tables.h"
#include "quantize/code_grid.h"

namespace gpt2edge {

// All integers of a range within -128 .. 127.
struct IntegerLevels {
  float lowest, highest;

  float operator()(float x) const {
    x = x < highest ? x : highest;
    x = x > lowest ? x : lowest;
    return static_cast<float>(static_cast<int>(x + 128.5f) - 128);
  }
};

// The level of kIQ4Table nearest to a number, by its halves rounded down from -128 on: the middles
// between levels are multiples of a half.
constexpr std::array<int8_t, 512> iq4_levels_by_half() {
  std::array<int8_t, 512> out{};
  int code = 0;
  for (int half = 0; half < 512; ++half) {
    const int twice = half - 256;
    while (code + 1 < kTableCodes && twice >= kIQ4Table[code] + kIQ4Table[code + 1]) ++code;
    out[static_cast<size_t>(half)] = kIQ4Table[code];
  }
  return out;
}

struct TableLevels {
  static constexpr std::array<int8_t, 512> kByHalf = iq4_levels_by_half();

  float operator()(float x) const {
    x = x < 127.0f ? x : 127.0f;
    x = x > -128.0f ? x : -128.0f;
    return static_cast<float>(kByHalf[static_cast<size_t>(2.0f * x + 256.0f)]);
  }
};

// Calls body with the set's levels.
template <typename Body>
auto with_levels(const CodeSet& set, const Body& body) {
  if (set.table != nullptr) return body(TableLevels{});
  return body(IntegerLevels{static_cast<float>(set.lowest), static_cast<float>(set.highest)});
}

}  // namespace gpt2edge
