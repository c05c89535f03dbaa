// The vocabulary for NEON with the dot product extension (Cortex-A76, so the Raspberry Pi 5; Apple
// M1; Graviton 2): sdot multiplies 16 signed codes by 16 signed inputs and adds them by fours.
#pragma once

#include "kernels/isa/neon_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : NeonLanes {
  static constexpr int kCodeBias = 0;
  static constexpr int kMaxTokens = 3;  // rows of a matmul's tile: 24 of the 32 registers are sums
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  static constexpr int kQueries = 4;    // rows of attention's tile

  using Dot8 = Ints;
  static Dot8 start8(int32_t) { return all(0); }
  static Dot8 step8(Dot8 dot, const Codes8& codes, Inputs x) {
    for (int i = 0; i < 4; ++i) dot.part[i] = vdotq_s32(dot.part[i], codes.part[i], x);
    return dot;
  }
  static Ints finish8(Dot8 dot) { return dot; }

  using Dot4 = Ints;
  static Dot4 start4(int32_t start) { return all(start); }
  static Dot4 step4(Dot4 dot, const Codes4& codes, Inputs x) { return step8(dot, codes, x); }
  static Ints finish4(Dot4 dot, int32_t) { return dot; }

  static Ints start6(int32_t start) { return all(start); }
  static Ints step6(Ints dot, const Codes6& codes, Inputs x) { return step8(dot, codes, x); }
};

}  // namespace
}  // namespace gpt2edge::kernels
