// The SIMD primitives that NEON's variants share: all but the dot products. 16 lanes are four
// registers.
#pragma once

#include <arm_neon.h>
#include <string.h>

#include "kernels/isa/row_by_row.h"

namespace gpt2edge::kernels {
namespace {

struct NeonLanes {
  using Pairs = NoPairs;
  // A class that makes codes of T rows at once, or RowCodes.
  template <int T, typename RowCodes>
  using TileCodes = RowCodes;

  struct Floats {
    float32x4_t part[4];
  };
  struct Ints {
    int32x4_t part[4];
  };

  // ---- floats ----

  template <typename Operation>
  static Floats each(Operation operation) {
    return {{operation(0), operation(1), operation(2), operation(3)}};
  }

  static Floats broadcast(float x) {
    return each([&](int) { return vdupq_n_f32(x); });
  }
  static Floats load(const float* p) {
    return each([&](int i) { return vld1q_f32(p + 4 * i); });
  }
  static void store(float* p, Floats a) {
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.part[i]);
  }
  static Floats load_f16(const uint8_t* p) {
    return each([&](int i) {
      uint16x4_t half;
      memcpy(&half, p + 8 * i, sizeof half);
      return vcvt_f32_f16(vreinterpret_f16_u16(half));
    });
  }
  static Floats load_bf16(const uint8_t* p) {
    return each([&](int i) {
      uint16x4_t half;
      memcpy(&half, p + 8 * i, sizeof half);
      return vreinterpretq_f32_u32(vshll_n_u16(half, 16));
    });
  }
  static void store_f16(uint8_t* p, Floats a) {
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(a.part[i]));
      memcpy(p + 8 * i, &half, sizeof half);
    }
  }
  static Floats load_u8(const uint8_t* p) {
    const uint8x16_t all = vld1q_u8(p);
    const uint16x8_t low = vmovl_u8(vget_low_u8(all)), high = vmovl_high_u8(all);
    return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
             vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))}};
  }
  static Floats load_s8(const uint8_t* p) {
    const int8x16_t all = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t low = vmovl_s8(vget_low_s8(all)), high = vmovl_high_s8(all);
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
  }

  static Floats add(Floats a, Floats b) {
    return each([&](int i) { return vaddq_f32(a.part[i], b.part[i]); });
  }
  static Floats sub(Floats a, Floats b) {
    return each([&](int i) { return vsubq_f32(a.part[i], b.part[i]); });
  }
  static Floats mul(Floats a, Floats b) {
    return each([&](int i) { return vmulq_f32(a.part[i], b.part[i]); });
  }
  static Floats div(Floats a, Floats b) {
    return each([&](int i) { return vdivq_f32(a.part[i], b.part[i]); });
  }
  static Floats fma(Floats a, Floats b, Floats c) {
    return each([&](int i) { return vfmaq_f32(c.part[i], a.part[i], b.part[i]); });
  }
  // b where a is not a number, as x86 has it; Arm's own maximum would be the NaN.
  static Floats max(Floats a, Floats b) {
    return each([&](int i) { return greater(a.part[i], b.part[i]); });
  }
  static Floats min(Floats a, Floats b) {
    return each(
        [&](int i) { return vbslq_f32(vcltq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]); });
  }
  static Floats sqrt(Floats a) {
    return each([&](int i) { return vsqrtq_f32(a.part[i]); });
  }
  static float sqrt_lane(float x) { return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0); }

  static Floats scale_by_power_of_2(Floats a, Floats shifted) {
    return each([&](int i) {
      const int32x4_t n = vshlq_n_s32(vreinterpretq_s32_f32(shifted.part[i]), 23);
      return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.part[i]), n));
    });
  }

  static float32x4_t greater(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
  }
  // Folds i with i + 8, then i + 4, i + 2, i + 1.
  static float sum(Floats a) {
    const float32x4_t four =
        vaddq_f32(vaddq_f32(a.part[0], a.part[2]), vaddq_f32(a.part[1], a.part[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static float max_lane(Floats a) {
    const float32x4_t four = greater(greater(a.part[0], a.part[2]), greater(a.part[1], a.part[3]));
    const float32x4_t two = greater(four, vextq_f32(four, four, 2));
    const float x = vgetq_lane_f32(two, 0), y = vgetq_lane_f32(two, 1);
    return x > y ? x : y;
  }
  static uint16x4_t low_halves(float32x4_t a) { return vmovn_u32(vreinterpretq_u32_f32(a)); }
  static void store_low_bytes(int8_t* p, Floats a) {
    const uint16x8_t low = vcombine_u16(low_halves(a.part[0]), low_halves(a.part[1]));
    const uint16x8_t high = vcombine_u16(low_halves(a.part[2]), low_halves(a.part[3]));
    vst1q_s8(p, vreinterpretq_s8_u8(vcombine_u8(vmovn_u16(low), vmovn_u16(high))));
  }
  static void store_low_halves(int16_t* p, Floats a) {
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) vst1_s16(p + 4 * i, vreinterpret_s16_u16(low_halves(a.part[i])));
  }

  // ---- for the dot products ----

  // A block's sums stay below 2^22 in magnitude. Accumulated from the bits of 1.5 * 2^23, their
  // bits are the float 1.5 * 2^23 + sum: a subtraction converts them, at half the cost of a
  // conversion on most cores.
  static constexpr int32_t kZero = 0x4B400000;
  static Ints from(int32_t start) {
    const int32x4_t four = vdupq_n_s32(kZero + start);
    return {{four, four, four, four}};
  }
  static Floats to_floats(const Ints& a) {
    const float32x4_t zero = vdupq_n_f32(12582912.0f);
    return each([&](int i) { return vsubq_f32(vreinterpretq_f32_s32(a.part[i]), zero); });
  }
  static Floats long_to_floats(const Ints& a) {
    return each([&](int i) { return vcvtq_f32_s32(vsubq_s32(a.part[i], vdupq_n_s32(kZero))); });
  }
  static TwoSums sum_codes(const int8_t* low, const int8_t* high) {
    return {vaddlvq_s8(vld1q_s8(low)), vaddlvq_s8(vld1q_s8(high))};
  }

  using Inputs = int8x16_t;  // four, repeated
  static Inputs load_inputs(const int8_t* x) {
    int32_t four;
    memcpy(&four, x, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static int16x4_t load_inputs(const int16_t* x) {
    int32_t two;
    memcpy(&two, x, 4);
    return vreinterpret_s16_s32(vdup_n_s32(two));
  }

  struct Codes {
    int8x16_t part[4];
  };
  static int8x16_t codes(uint8x16_t a) { return vreinterpretq_s8_u8(a); }
  static Codes load_codes8(const uint8_t* p) {
    return {{codes(vld1q_u8(p)), codes(vld1q_u8(p + 16)), codes(vld1q_u8(p + 32)),
             codes(vld1q_u8(p + 48))}};
  }
  static void load_codes4(const uint8_t* p, Codes& low, Codes& high) {
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint8x16_t both = vld1q_u8(p + 16 * i);
      low.part[i] = codes(vandq_u8(both, vdupq_n_u8(15)));
      high.part[i] = codes(vshrq_n_u8(both, 4));
    }
  }
  static Codes load_codes6(const uint8_t* p) {
    Codes r;
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) r.part[i] = codes(vandq_u8(vld1q_u8(p + 16 * i), vdupq_n_u8(63)));
    return r;
  }
  static Codes load_fourth_codes6(const uint8_t* p) {
    Codes r;
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i, p += 16) {
      const uint8x16_t third = vshrq_n_u8(vld1q_u8(p + 128), 2);
      const uint8x16_t two = vsriq_n_u8(third, vld1q_u8(p + 64), 4);
      r.part[i] = codes(vsriq_n_u8(two, vld1q_u8(p), 6));
    }
    return r;
  }

  // Bits from `shift` on, in each byte.
  static uint8x16_t bits_of(const uint8_t* p, int shift, uint8_t mask) {
    const int8x16_t right = vdupq_n_s8(static_cast<int8_t>(-shift));
    return vandq_u8(vshlq_u8(vld1q_u8(p), right), vdupq_n_u8(mask));
  }
  static Codes load_codes2(const uint8_t* p, int shift) {
    Codes r;
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) r.part[i] = codes(bits_of(p + 16 * i, shift, 3));
    return r;
  }
  static Codes load_codes3(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
    Codes r;
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) {
      r.part[i] = codes(
          vorrq_u8(bits_of(low + 16 * i, low_shift, 3), bits_of(high + 16 * i, high_shift - 2, 4)));
    }
    return r;
  }

  using Table = int8x16_t;  // 16 codes
  static Table load_table(const uint8_t* table) { return codes(vld1q_u8(table)); }
  static int8x16_t look_up(Table table, int8x16_t indices) {
    return vqtbl1q_s8(table, vreinterpretq_u8_s8(indices));
  }
  static Codes load_table_codes4(const uint8_t* p, int shift, Table table) {
    Codes r;
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) r.part[i] = look_up(table, codes(bits_of(p + 16 * i, shift, 15)));
    return r;
  }
  static void load_table_codes4(const uint8_t* p, Table table, Codes& low, Codes& high) {
    load_codes4(p, low, high);
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) {
      low.part[i] = look_up(table, low.part[i]);
      high.part[i] = look_up(table, high.part[i]);
    }
  }
  static void unpack_codes4(const uint8_t* p, Table table, uint8_t* low, uint8_t* high) {
    Codes parts[2];
    load_table_codes4(p, table, parts[0], parts[1]);
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) {
      vst1q_u8(low + 16 * i, vreinterpretq_u8_s8(parts[0].part[i]));
      vst1q_u8(high + 16 * i, vreinterpretq_u8_s8(parts[1].part[i]));
    }
  }

  // Bits8 without its step(), and the others on top of Bits8 or Bits4.
  struct SignedCodes {
    using Dot = Ints;
    using Codes = NeonLanes::Codes;
    static Codes load(const uint8_t* p) { return load_codes8(p); }
    static Dot start(int32_t) { return from(0); }
    static Floats finish(const Dot& dot, int32_t) { return to_floats(dot); }
    static Floats finish_long(const Dot& dot) { return long_to_floats(dot); }
  };
  // Codes of 16 bits, two of a lane side by side.
  struct Bits16 {
    using Dot = Ints;
    struct Codes {
      int16x8x2_t low, high;  // of eight lanes each the first codes, then the second ones
    };
    static Codes load(const uint8_t* p) {
      const auto* codes = reinterpret_cast<const int16_t*>(p);
      return {vld2q_s16(codes), vld2q_s16(codes + 16)};
    }
    static Dot start(int32_t) {
      const int32x4_t zero = vdupq_n_s32(0);
      return {{zero, zero, zero, zero}};
    }
    template <int Which>
    static GPT2EDGE_INLINE void add(Dot& dot, const Codes& codes, int16x4_t x) {
      const int16x8_t low = codes.low.val[Which], high = codes.high.val[Which];
      dot.part[0] = vmlal_lane_s16(dot.part[0], vget_low_s16(low), x, Which);
      dot.part[1] = vmlal_high_lane_s16(dot.part[1], low, x, Which);
      dot.part[2] = vmlal_lane_s16(dot.part[2], vget_low_s16(high), x, Which);
      dot.part[3] = vmlal_high_lane_s16(dot.part[3], high, x, Which);
    }
    static Dot step(Dot dot, const Codes& codes, int16x4_t x) {
      add<0>(dot, codes, x);
      add<1>(dot, codes, x);
      return dot;
    }
    static Floats finish_long(const Dot& dot) {
      return each([&](int i) { return vcvtq_f32_s32(dot.part[i]); });
    }
    static Floats finish(const Dot& dot, int32_t) { return finish_long(dot); }
  };
  template <typename Bits8>
  struct SixBitsOf : Bits8 {
    static Codes load(const uint8_t* p) { return load_codes6(p); }
    static Codes load_fourth(const uint8_t* p) { return load_fourth_codes6(p); }
    static Ints start(int32_t start) { return from(start); }
  };
  template <typename Bits4>
  struct TwoBitsOf : Bits4 {
    static Codes load(const uint8_t* p, int shift) { return load_codes2(p, shift); }
  };
  template <typename Bits4>
  struct ThreeBitsOf : Bits4 {
    static Codes load(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
      return load_codes3(low, low_shift, high, high_shift);
    }
  };
  template <typename Bits8>
  struct TableBitsOf : Bits8 {
    static Codes load(const uint8_t* p, int shift, Table table) {
      return load_table_codes4(p, shift, table);
    }
    static void load(const uint8_t* p, Codes& low, Codes& high, Table table) {
      load_table_codes4(p, table, low, high);
    }
  };
};

}  // namespace
}  // namespace gpt2edge::kernels
