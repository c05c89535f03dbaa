// What every vocabulary for x86 shares: sums of a few codes, for which 128 bits do.
#pragma once

#include <immintrin.h>

#include "kernels/panel.h"

namespace gpt2edge::kernels {
namespace {

struct X86Codes {
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
