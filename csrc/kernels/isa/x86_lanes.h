// The SIMD primitives that all x86 instruction sets share, whatever the width of their registers.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "kernels/isa/row_by_row.h"

namespace gpt2edge::kernels {
namespace {

struct X86Lanes {
  using Pairs = NoPairs;
  // A class that makes codes of T rows at once, or RowCodes.
  template <int T, typename RowCodes>
  using TileCodes = RowCodes;

  static float sqrt_lane(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

  // The last eight lanes fold to one.
  static float sum_of_8(__m256 eight) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float max_of_8(__m256 eight) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  // Four codes of 8 bits or two of 16, as one number to repeat.
  static int32_t as_number(const void* codes) {
    int32_t number;
    memcpy(&number, codes, 4);
    return number;
  }

  // Sums of a few codes, for which 128-bit registers suffice.
  static __m128i fours(const int8_t* codes) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    return _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), sixteen), _mm_set1_epi16(1));
  }
  static TwoSums sum_codes(const int8_t* low, const int8_t* high) {
    const __m128i eights = _mm_hadd_epi32(fours(low), fours(high));
    const __m128i sums = _mm_hadd_epi32(eights, eights);
    return {_mm_cvtsi128_si32(sums), _mm_extract_epi32(sums, 1)};
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
