// SIMD primitives for AVX2 with FMA and F16C (Haswell and Zen on).
//
// AVX2 multiplies bytes only as unsigned x signed, adding pairs into 16 bits with saturation:
//   8-bit codes: |w| x (x with w's sign); a pair is at most 2 * 128 * 127 = 32512, below 2^15.
//   4-bit codes: 0..15 as they are;       a pair is at most 2 * 15 * 127 = 3810, so that the 8
//   steps
//                of a block (30480) still fit 16 bits and are widened once;
//   3- and 2-bit codes: likewise;
//   6-bit codes: 0..63 as they are;       a pair is at most 2 * 63 * 127 = 16002.
#pragma once

#include "kernels/isa/avx2_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : Avx2Lanes {
  static constexpr int kCodeBias = 0;
  static constexpr int kMaxTokens = 4;  // rows of a matmul's tile
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  // Rows that codes are unpacked for first: only those that choose from a table, which is looked up
  // once then. The others multiply as fast as they are, or faster.
  static constexpr int kUnpackRows4 = 1 << 30, kUnpackRows6 = 1 << 30, kUnpackRowsTable = 24;
  static constexpr int kQueries = 4;  // rows of attention's tile

  static __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

  struct Bits8 {
    using Dot = Ints;
    struct Codes {
      __m256i low, high, low_magnitude, high_magnitude;
    };
    static Codes with_magnitudes(Ints codes) {
      return {codes.low, codes.high, _mm256_abs_epi8(codes.low), _mm256_abs_epi8(codes.high)};
    }
    static Codes load(const uint8_t* p) { return with_magnitudes({load_32(p), load_32(p + 32)}); }
    static Dot start(int32_t) { return all(0); }
    static __m256i step_half(__m256i dot, __m256i codes, __m256i magnitude, __m256i x) {
      const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, codes));
      return _mm256_add_epi32(dot, widen(pairs));
    }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {step_half(dot.low, codes.low, codes.low_magnitude, x),
              step_half(dot.high, codes.high, codes.high_magnitude, x)};
    }
    static Floats finish(Dot dot, int32_t) { return to_floats(dot); }
    static Floats finish_long(Dot dot) { return to_floats(dot); }
  };

  struct Bits4 {
    using Dot = Ints;  // 16-bit pairs until the end
    using Codes = Ints;
    static void load(const uint8_t* p, Codes& low, Codes& high) { load_codes4(p, low, high); }
    static Dot start(int32_t) { return all(0); }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {_mm256_add_epi16(dot.low, _mm256_maddubs_epi16(codes.low, x)),
              _mm256_add_epi16(dot.high, _mm256_maddubs_epi16(codes.high, x))};
    }
    static Floats finish(Dot dot, int32_t start) {
      const __m256i offset = _mm256_set1_epi32(start);
      return to_floats(
          {_mm256_add_epi32(widen(dot.low), offset), _mm256_add_epi32(widen(dot.high), offset)});
    }
  };

  struct Bits6 {
    using Dot = Ints;
    using Codes = Ints;
    static Codes load(const uint8_t* p) { return load_codes6(p); }
    static Codes load_fourth(const uint8_t* p) { return load_fourth_codes6(p); }
    static Dot start(int32_t start) { return all(start); }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {_mm256_add_epi32(dot.low, widen(_mm256_maddubs_epi16(codes.low, x))),
              _mm256_add_epi32(dot.high, widen(_mm256_maddubs_epi16(codes.high, x)))};
    }
    static Floats finish(Dot dot, int32_t) { return to_floats(dot); }
  };

  struct Bits2 : Bits4 {
    static Codes load(const uint8_t* p, int shift) { return load_codes2(p, shift); }
  };
  struct Bits3 : Bits4 {
    static Codes load(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
      return load_codes3(low, low_shift, high, high_shift);
    }
  };
  struct TableBits4 : Bits8 {
    static Codes load(const uint8_t* p, int shift, Table table) {
      return with_magnitudes(load_table_codes4(p, shift, table));
    }
    static void load(const uint8_t* p, Codes& low, Codes& high, Table table) {
      Ints codes[2];
      load_table_codes4(p, table, codes[0], codes[1]);
      low = with_magnitudes(codes[0]);
      high = with_magnitudes(codes[1]);
    }
  };

  template <typename Bits, int T>
  using Rows = RowByRow<Isa, Bits, T>;
};

}  // namespace
}  // namespace gpt2edge::kernels
