// The vocabulary for AVX2 with FMA and F16C (Haswell and Zen on).
//
// AVX2 multiplies bytes only as unsigned x signed, adding pairs into 16 bits with saturation:
//   8-bit codes: |w| x (x with w's sign); a pair is at most 2 * 128 * 127 = 32512, below 2^15.
//   4-bit codes: 0..15 as they are;       a pair is at most 2 * 15 * 127 = 3810, so that the 8
//   steps
//                of a block (30480) still fit 16 bits and are widened once;
//   6-bit codes: 0..63 as they are;       a pair is at most 2 * 63 * 127 = 16002.
#pragma once

#include "kernels/isa/avx2_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : Avx2Lanes {
  static constexpr int kCodeBias = 0;
  static constexpr int kMaxTokens = 4;  // rows of a matmul's tile
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  static constexpr int kQueries = 4;    // rows of attention's tile

  static __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

  using Dot8 = Ints;
  struct Codes8 {
    __m256i low, high, low_magnitude, high_magnitude;
  };
  static Codes8 load_codes8(const uint8_t* p) {
    const __m256i low = load_32(p), high = load_32(p + 32);
    return {low, high, _mm256_abs_epi8(low), _mm256_abs_epi8(high)};
  }
  static Dot8 start8(int32_t) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static __m256i step8_half(__m256i dot, __m256i codes, __m256i magnitude, __m256i x) {
    const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, codes));
    return _mm256_add_epi32(dot, widen(pairs));
  }
  static Dot8 step8(Dot8 dot, const Codes8& codes, Inputs x) {
    return {step8_half(dot.low, codes.low, codes.low_magnitude, x),
            step8_half(dot.high, codes.high, codes.high_magnitude, x)};
  }
  static Ints finish8(Dot8 dot) { return dot; }

  using Dot4 = Ints;  // 16-bit pairs until finish4
  static Dot4 start4(int32_t) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Dot4 step4(Dot4 dot, const Codes4& codes, Inputs x) {
    return {_mm256_add_epi16(dot.low, _mm256_maddubs_epi16(codes.low, x)),
            _mm256_add_epi16(dot.high, _mm256_maddubs_epi16(codes.high, x))};
  }
  static Ints finish4(Dot4 dot, int32_t start) {
    const __m256i offset = _mm256_set1_epi32(start);
    return {_mm256_add_epi32(widen(dot.low), offset), _mm256_add_epi32(widen(dot.high), offset)};
  }

  static Ints start6(int32_t start) { return {_mm256_set1_epi32(start), _mm256_set1_epi32(start)}; }
  static Ints step6(Ints dot, const Codes6& codes, Inputs x) {
    return {_mm256_add_epi32(dot.low, widen(_mm256_maddubs_epi16(codes.low, x))),
            _mm256_add_epi32(dot.high, widen(_mm256_maddubs_epi16(codes.high, x)))};
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
