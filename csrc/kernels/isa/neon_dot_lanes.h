// The SIMD primitives that NEON's variants with the dot product extension share: sdot multiplies 16
// signed codes by 16 signed inputs and adds them by fours.
#pragma once

#include "kernels/isa/neon_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct NeonDotLanes : NeonLanes {
  static constexpr int kCodeBias = 0;

  struct Bits8 : SignedCodes {
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) dot.part[i] = vdotq_s32(dot.part[i], codes.part[i], x);
      return dot;
    }
  };
  struct Bits4 : Bits8 {
    static void load(const uint8_t* p, Codes& low, Codes& high) { load_codes4(p, low, high); }
    static Dot start(int32_t start) { return from(start); }
  };
  using Bits2 = TwoBitsOf<Bits4>;
  using Bits3 = ThreeBitsOf<Bits4>;
  using Bits6 = SixBitsOf<Bits8>;
  using TableBits4 = TableBitsOf<Bits8>;
};

}  // namespace
}  // namespace gpt2edge::kernels
