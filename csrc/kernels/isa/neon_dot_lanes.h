// What the vocabularies of NEON with the dot product extension share: sdot multiplies 16 signed
// codes by 16 signed inputs and adds them by fours.
#pragma once

#include "kernels/isa/neon_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct NeonDotLanes : NeonLanes {
  static constexpr int kCodeBias = 0;

  struct Bits8 {
    using Dot = Ints;
    using Codes = NeonLanes::Codes;
    static Codes load(const uint8_t* p) { return load_codes8(p); }
    static Dot start(int32_t) { return from(0); }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) dot.part[i] = vdotq_s32(dot.part[i], codes.part[i], x);
      return dot;
    }
    static Floats finish(const Dot& dot, int32_t) { return to_floats(dot); }
    static Floats finish_long(const Dot& dot) { return long_to_floats(dot); }
  };
  struct Bits4 : Bits8 {
    static void load(const uint8_t* p, Codes& low, Codes& high) { load_codes4(p, low, high); }
    static Dot start(int32_t start) { return from(start); }
  };
  struct Bits6 : Bits8 {
    static Codes load(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
      return load_codes6(low, low_shift, high, high_shift);
    }
    static Dot start(int32_t start) { return from(start); }
  };
};

}  // namespace
}  // namespace gpt2edge::kernels
