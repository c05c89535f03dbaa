// SIMD primitives for NEON alone (Cortex-A53 and A72, so the Raspberry Pi 3 and 4).
//
// Bytes are multiplied into 16 bits and added in pairs there:
//   8- and 6-bit codes: a pair is at most 2 * 128 * 127 = 32512, below 2^15, and widened at once.
//   codes of up to 4 bits: 0..15; the eight steps of a block come to at most 8 * 15 * 127 = 15240 a
//   product
//                and twice that a pair, so that they are widened once.
#pragma once

#include "kernels/isa/neon_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : NeonLanes {
  static constexpr int kCodeBias = 0;
  static constexpr int kMaxTokens = 2;  // rows of a matmul's tile: 24 of the 32 registers are sums
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  // Rows that codes are unpacked for first; 4-bit codes multiply faster as they are.
  static constexpr int kUnpackRows4 = kNever, kUnpackRows6 = 24, kUnpackRowsTable = 24;
  static constexpr int kQueries = 2;  // rows of attention's tile
  static constexpr int kSums = 4;     // dot products of 16 codes that it has at once

  struct Bits8 : SignedCodes {
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int16x8_t low = vmull_s8(vget_low_s8(codes.part[i]), vget_low_s8(x));
        const int16x8_t high = vmull_high_s8(codes.part[i], x);
        dot.part[i] = vpadalq_s16(dot.part[i], vpaddq_s16(low, high));
      }
      return dot;
    }
  };

  struct Bits4 {
    struct Dot {
      int16x8_t low[4], high[4];  // a product a lane
    };
    using Codes = NeonLanes::Codes;
    static void load(const uint8_t* p, Codes& low, Codes& high) { load_codes4(p, low, high); }
    static Dot start(int32_t) {
      Dot dot;
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) dot.low[i] = dot.high[i] = vdupq_n_s16(0);
      return dot;
    }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) {
        dot.low[i] = vmlal_s8(dot.low[i], vget_low_s8(codes.part[i]), vget_low_s8(x));
        dot.high[i] = vmlal_high_s8(dot.high[i], codes.part[i], x);
      }
      return dot;
    }
    static Floats finish(const Dot& dot, int32_t start) {
      Ints r = from(start);
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) {
        r.part[i] = vpadalq_s16(r.part[i], vpaddq_s16(dot.low[i], dot.high[i]));
      }
      return to_floats(r);
    }
  };

  using Bits2 = TwoBitsOf<Bits4>;
  using Bits3 = ThreeBitsOf<Bits4>;
  using Bits6 = SixBitsOf<Bits8>;
  using TableBits4 = TableBitsOf<Bits8>;

  template <typename Bits, int T>
  using Rows = RowByRow<Isa, Bits, T>;
};

}  // namespace
}  // namespace gpt2edge::kernels
