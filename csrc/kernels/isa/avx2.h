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
  static constexpr int kUnpackRows4 = kNever, kUnpackRows6 = kNever, kUnpackRowsTable = 24;
  static constexpr int kQueries = 4;  // rows of attention's tile
  static constexpr int kSums = 4;     // dot products of 16 codes that it has at once

  static __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

  // A sum, computed before what follows. Of steps that are unrolled GCC would compute all products
  // first, store them, and add them up at the end.
  template <typename Sum>
  static GPT2EDGE_INLINE Sum in_order(Sum sum) {
#if defined(__GNUC__) && !defined(__clang__)
    asm("" : "+x"(sum));
#endif
    return sum;
  }

  struct Bits8 {
    struct Dot {
      Sums8 low, high;
    };
    struct Codes {
      __m256i low, high, low_magnitude, high_magnitude;
    };
    static Codes with_magnitudes(Ints codes) {
      return {codes.low, codes.high, _mm256_abs_epi8(codes.low), _mm256_abs_epi8(codes.high)};
    }
    static Codes load(const uint8_t* p) { return with_magnitudes({load_32(p), load_32(p + 32)}); }
    static Dot start(int32_t) {
      const Sums8 zero = to_sums(_mm256_setzero_si256());
      return {zero, zero};
    }
    static Sums8 step_half(Sums8 dot, __m256i codes, __m256i magnitude, __m256i x) {
      const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, codes));
      return add_sums(dot, widen(pairs));
    }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {step_half(dot.low, codes.low, codes.low_magnitude, x),
              step_half(dot.high, codes.high, codes.high_magnitude, x)};
    }
    static Floats finish(Dot dot, int32_t) { return finish_long(dot); }
    static Floats finish_long(Dot dot) {
      return to_floats({from_sums(dot.low), from_sums(dot.high)});
    }
  };

  struct Bits16 {
    using Dot = Bits8::Dot;
    using Codes = Ints;
    static Codes load(const uint8_t* p) { return {load_32(p), load_32(p + 32)}; }
    static Dot start(int32_t) { return Bits8::start(0); }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {in_order(add_sums(dot.low, _mm256_madd_epi16(codes.low, x))),
              in_order(add_sums(dot.high, _mm256_madd_epi16(codes.high, x)))};
    }
    static Floats finish(Dot dot, int32_t) { return finish_long(dot); }
    static Floats finish_long(Dot dot) { return Bits8::finish_long(dot); }
  };

  struct Bits4 {
    using Dot = Ints;  // 16-bit pairs until the end
    using Codes = Ints;
    static void load(const uint8_t* p, Codes& low, Codes& high) { load_codes4(p, low, high); }
    static Dot start(int32_t) { return all(0); }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {in_order(_mm256_add_epi16(dot.low, _mm256_maddubs_epi16(codes.low, x))),
              in_order(_mm256_add_epi16(dot.high, _mm256_maddubs_epi16(codes.high, x)))};
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
      return {in_order(_mm256_add_epi32(dot.low, widen(_mm256_maddubs_epi16(codes.low, x)))),
              in_order(_mm256_add_epi32(dot.high, widen(_mm256_maddubs_epi16(codes.high, x))))};
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

  // By pairs of inputs, in 16 bits: the sum of two codes is at most 255. The four inputs of a step
  // are two pairs, of which `even` has the first codes and `odd` the second ones.
  struct Pairs {
    static constexpr int kRows = 16;
    using Sums = Bits8::Dot;
    struct Codes {
      __m256i low_even, low_odd, high_even, high_odd;
    };
    static __m256i even(__m256i codes) { return _mm256_srai_epi16(_mm256_slli_epi16(codes, 8), 8); }
    static __m256i odd(__m256i codes) { return _mm256_srai_epi16(codes, 8); }
    static void store_32(void* p, __m256i a) { _mm256_storeu_si256(static_cast<__m256i*>(p), a); }

    // Of the pairs of 32 codes.
    static int32_t products(const int8_t* codes) {
      const __m256i all = load_32(reinterpret_cast<const uint8_t*>(codes));
      const __m256i eight = _mm256_madd_epi16(even(all), odd(all));
      const __m128i four =
          _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
      const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
      return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_srli_epi64(two, 32)));
    }

    static Sums zero() { return Bits8::start(0); }
    static void widen_half(__m256i codes, uint8_t* to, Sums8& starts) {
      const __m256i first = even(codes), second = odd(codes);
      store_32(to, first);
      store_32(to + 32, second);
      starts = to_sums(_mm256_sub_epi32(from_sums(starts), _mm256_madd_epi16(first, second)));
    }
    // A step's codes of weights; subtracts the products of their pairs.
    static void widen(const Bits8::Codes& codes, uint8_t* to, Sums& starts) {
      widen_half(codes.low, to, starts.low);
      widen_half(codes.high, to + 64, starts.high);
    }
    static void store(int32_t* to, Sums sums) {
      store_32(to, from_sums(sums.low));
      store_32(to + 8, from_sums(sums.high));
    }
    // n blocks of the codes of T rows: of each block all first codes, then all second ones.
    template <int T>
    static void widen_inputs(const int8_t* codes, int n, uint8_t* to) {
      for (int b = 0; b < n; ++b, to += 64 * T) {
        for (int i = 0; i < T; ++i, codes += 32) {
          const __m256i all = load_32(reinterpret_cast<const uint8_t*>(codes));
          store_32(to + 32 * i, even(all));
          store_32(to + 32 * (T + i), odd(all));
        }
      }
    }

    static Sums start(const int32_t* weights, int32_t inputs) {
      const Sums8 of_inputs = to_sums(_mm256_set1_epi32(inputs));
      const auto* p = reinterpret_cast<const uint8_t*>(weights);
      return {add_sums(of_inputs, load_32(p)), add_sums(of_inputs, load_32(p + 32))};
    }
    static Codes load(const uint8_t* p) {
      return {load_32(p), load_32(p + 32), load_32(p + 64), load_32(p + 96)};
    }
    static __m256i pair(const uint8_t* x) {
      int32_t two;
      memcpy(&two, x, sizeof two);
      return _mm256_set1_epi32(two);
    }
    // A step of one row, whose second codes are `odd_at` bytes behind the first ones.
    static GPT2EDGE_INLINE void step(Sums& sums, const Codes& codes, const uint8_t* x, int odd_at) {
      const __m256i x_even = pair(x), x_odd = pair(x + odd_at);
      sums.low = add_sums(sums.low, _mm256_madd_epi16(_mm256_add_epi16(codes.low_even, x_odd),
                                                      _mm256_add_epi16(codes.low_odd, x_even)));
      sums.high = add_sums(sums.high, _mm256_madd_epi16(_mm256_add_epi16(codes.high_even, x_odd),
                                                        _mm256_add_epi16(codes.high_odd, x_even)));
    }
    static Floats finish(Sums sums) { return Bits8::finish_long(sums); }
  };

  template <typename Bits, int T>
  using Rows = RowByRow<Isa, Bits, T>;
};

}  // namespace
}  // namespace gpt2edge::kernels
