// SIMD primitives for NEON with the dot product extension (Cortex-A76, so the Raspberry Pi 5; Apple
// M1; Graviton 2).
#pragma once

#include <type_traits>

#include "kernels/isa/neon_dot_lanes.h"

namespace gpt2edge::kernels {
namespace {

// Two to four rows' inputs of a step fill one register, which sdot takes by element: repeating each
// over a register of its own would take as long as a dot product.
template <typename Bits, int T>
struct ByElement : RowByRow<NeonDotLanes, Bits, T> {
  using Base = RowByRow<NeonDotLanes, Bits, T>;
  using typename Base::Codes, typename Base::Dots;

  static int8x16_t load_rows(const int8_t* x) {
    if constexpr (T == 2) return vcombine_s8(vld1_s8(x), vdup_n_s8(0));
    return vld1q_s8(x);
  }
  template <int Row>
  static GPT2EDGE_INLINE void step_row(Dots& dots, const Codes& codes, int8x16_t x) {
    if constexpr (Row < T) {
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) {
        int32x4_t& dot = dots.row[Row].part[i];
        dot = vdotq_laneq_s32(dot, codes.part[i], x, Row);
      }
      step_row<Row + 1>(dots, codes, x);
    }
  }
  template <int P>
  static GPT2EDGE_INLINE void step(Dots (&dots)[P], const Codes (&codes)[P], const int8_t* x) {
    const int8x16_t rows = load_rows(x);
    GPT2EDGE_UNROLL
    for (int p = 0; p < P; ++p) step_row<0>(dots[p], codes[p], rows);
  }
};

struct Isa : NeonDotLanes {
  static constexpr int kMaxTokens = 3;  // rows of a matmul's tile: 24 of the 32 registers are sums
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  // Rows that codes are unpacked for first.
  static constexpr int kUnpackRows4 = 24, kUnpackRows6 = 24, kUnpackRowsTable = 24;
  static constexpr int kQueries = 4;  // rows of attention's tile
  static constexpr int kSums = 4;     // dot products of 16 codes that it has at once

  template <typename Bits, int T>
  using Rows = std::conditional_t<T == 1, RowByRow<NeonDotLanes, Bits, T>, ByElement<Bits, T>>;
};

}  // namespace
}  // namespace gpt2edge::kernels
