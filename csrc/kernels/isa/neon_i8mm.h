// SIMD primitives for NEON with the 8-bit matrix multiply extension (Armv8.6: Cortex-A510 and A710
// on, Neoverse V1 and N2 on, Apple M2 on): smmla multiplies two rows of eight codes by two rows of
// eight inputs, twice what sdot does.
#pragma once

#include <type_traits>

#include "kernels/isa/neon_dot_lanes.h"

namespace gpt2edge::kernels {
namespace {

inline int8x16_t zip_low_fours(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}
inline int8x16_t zip_high_fours(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

// Rows in pairs, the last one alone when they are odd: two steps of four inputs, zipped, are the
// eight inputs that the instruction takes.
template <typename Bits, int T>
struct RowPairs {
  static constexpr int kSteps = 2;
  static constexpr int kPairs = (T + 1) / 2;
  struct Codes {
    int8x16_t part[8];  // two rows of the panel by eight inputs
  };
  struct Dots {
    int32x4_t part[kPairs][8];  // [row of the panel][row of the pair]
  };

  static Codes zip(const typename Bits::Codes& first, const typename Bits::Codes& second) {
    Codes r;
    GPT2EDGE_UNROLL
    for (int i = 0; i < 4; ++i) {
      r.part[2 * i] = zip_low_fours(first.part[i], second.part[i]);
      r.part[2 * i + 1] = zip_high_fours(first.part[i], second.part[i]);
    }
    return r;
  }
  static Codes load(const uint8_t* p) { return zip(Bits::load(p), Bits::load(p + 64)); }
  template <typename... Table>
  static void load(const uint8_t* p, Codes& low, Codes& high, const Table&... table) {
    typename Bits::Codes first_low, first_high, second_low, second_high;
    Bits::load(p, first_low, first_high, table...);
    Bits::load(p + 64, second_low, second_high, table...);
    low = zip(first_low, second_low);
    high = zip(first_high, second_high);
  }
  template <typename Load>
  static GPT2EDGE_INLINE Codes gather(int s, Load load) {
    return zip(load(s), load(s + 1));
  }

  static bool alone(int pair) { return 2 * pair + 1 == T; }

  static GPT2EDGE_INLINE Dots start(const int32_t* starts) {
    Dots dots;
    GPT2EDGE_UNROLL
    for (int pair = 0; pair < kPairs; ++pair) {
      const int32x4_t first = Bits::start(starts[2 * pair]).part[0];
      const int32x4_t second = alone(pair) ? first : Bits::start(starts[2 * pair + 1]).part[0];
      const int32x4_t both = vzip1q_s32(first, second);
      for (int32x4_t& part : dots.part[pair]) part = both;
    }
    return dots;
  }
  static int8x16_t load_pair(const int8_t* x, int pair) {
    const int8_t *first = x + 8 * pair, *second = first + 4 * T;
    if (alone(pair)) {
      return zip_low_fours(NeonLanes::load_inputs(first), NeonLanes::load_inputs(second));
    }
    const int8x8_t none = vdup_n_s8(0);
    return zip_low_fours(vcombine_s8(vld1_s8(first), none), vcombine_s8(vld1_s8(second), none));
  }
  template <int P>
  static GPT2EDGE_INLINE void step(Dots (&dots)[P], const Codes (&codes)[P], const int8_t* x) {
    GPT2EDGE_UNROLL
    for (int pair = 0; pair < kPairs; ++pair) {
      const int8x16_t rows = load_pair(x, pair);
      GPT2EDGE_UNROLL
      for (int p = 0; p < P; ++p) {
        GPT2EDGE_UNROLL
        for (int i = 0; i < 8; ++i) {
          int32x4_t& dot = dots[p].part[pair][i];
          dot = vmmlaq_s32(dot, codes[p].part[i], rows);
        }
      }
    }
  }
  static GPT2EDGE_INLINE void finish(const Dots& dots, const int32_t*, NeonLanes::Floats* sums) {
    GPT2EDGE_UNROLL
    for (int pair = 0; pair < kPairs; ++pair) {
      NeonLanes::Ints first, second;
      GPT2EDGE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int32x4_t low = dots.part[pair][2 * i], high = dots.part[pair][2 * i + 1];
        first.part[i] = vuzp1q_s32(low, high);
        second.part[i] = vuzp2q_s32(low, high);
      }
      sums[2 * pair] = NeonLanes::to_floats(first);
      if (!alone(pair)) sums[2 * pair + 1] = NeonLanes::to_floats(second);
    }
  }
};

struct Isa : NeonDotLanes {
  static constexpr int kMaxTokens = 4;  // rows of a matmul's tile
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  // Rows that codes are unpacked for first.
  static constexpr int kUnpackRows4 = 24, kUnpackRows6 = 24, kUnpackRowsTable = 24;
  static constexpr int kQueries = 4;  // rows of attention's tile
  static constexpr int kSums = 4;     // dot products of 16 codes that it has at once

  template <typename Bits, int T>
  using Rows = std::conditional_t<T == 1, RowByRow<NeonDotLanes, Bits, T>, RowPairs<Bits, T>>;
};

}  // namespace
}  // namespace gpt2edge::kernels
