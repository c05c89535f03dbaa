// The vocabulary for AVX-VNNI (Alder Lake and Sierra Forest on, Zen 5): AVX2 whose vpdpbusd
// multiplies 32 unsigned codes by 32 signed inputs and adds them by fours.
//
// Codes are packed as for AVX-512 VNNI: with 128 added, which what a block starts from takes off.
#pragma once

#include "kernels/isa/avx2_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : Avx2Lanes {
  static constexpr int kCodeBias = 128;
  static constexpr int kMaxTokens = 4;  // rows of a matmul's tile: 8 of the 16 registers are sums
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  static constexpr int kQueries = 4;    // rows of attention's tile

  static __m256i dot_fours(__m256i sum, __m256i codes, __m256i x) {
#if defined(GPT2EDGE_EVEX_VNNI)
    // The same operation as AVX-512 encodes it, for tests on processors that have only that.
    return _mm256_dpbusd_epi32(sum, codes, x);
#else
    return _mm256_dpbusd_avx_epi32(sum, codes, x);
#endif
  }

  using Dot8 = Ints;
  using Codes8 = Ints;
  static Codes8 load_codes8(const uint8_t* p) { return {load_32(p), load_32(p + 32)}; }
  static Dot8 start8(int32_t start) {
    const __m256i all = _mm256_set1_epi32(start);
    return {all, all};
  }
  static Dot8 step8(Dot8 dot, const Codes8& codes, Inputs x) {
    return {dot_fours(dot.low, codes.low, x), dot_fours(dot.high, codes.high, x)};
  }
  static Ints finish8(Dot8 dot) { return dot; }

  using Dot4 = Ints;
  static Dot4 start4(int32_t start) { return start8(start); }
  static Dot4 step4(Dot4 dot, const Codes4& codes, Inputs x) { return step8(dot, codes, x); }
  static Ints finish4(Dot4 dot, int32_t) { return dot; }

  static Ints start6(int32_t start) { return start8(start); }
  static Ints step6(Ints dot, const Codes6& codes, Inputs x) { return step8(dot, codes, x); }
};

}  // namespace
}  // namespace gpt2edge::kernels
