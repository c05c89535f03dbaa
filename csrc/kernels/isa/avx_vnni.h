// SIMD primitives for AVX-VNNI (Alder Lake and Sierra Forest on, Zen 5): AVX2 whose vpdpbusd
// multiplies 32 unsigned codes by 32 signed inputs and adds them by fours.
//
// Codes are packed as for AVX-512 VNNI: with 128 added, which a block's initial value subtracts.
#pragma once

#include "kernels/isa/avx2_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : Avx2Lanes {
  static constexpr int kCodeBias = 128;
  static constexpr int kMaxTokens = 4;  // rows of a matmul's tile: 8 of the 16 registers are sums
  static constexpr int kMaxPanels = 1;  // by which it goes at once
  // Rows that codes are unpacked for first.
  static constexpr int kUnpackRows4 = 24, kUnpackRows6 = 24, kUnpackRowsTable = 24;
  static constexpr int kQueries = 4;  // rows of attention's tile
  static constexpr int kSums = 4;     // dot products of 16 codes that it has at once

  static __m256i dot_fours(__m256i sum, __m256i codes, __m256i x) {
#if defined(GPT2EDGE_EVEX_VNNI)
    // The same operation as AVX-512 encodes it, for tests on processors that have only that.
    return _mm256_dpbusd_epi32(sum, codes, x);
#else
    return _mm256_dpbusd_avx_epi32(sum, codes, x);
#endif
  }

  struct Bits8 {
    using Dot = Ints;
    using Codes = Ints;
    static Codes load(const uint8_t* p) { return {load_32(p), load_32(p + 32)}; }
    static Dot start(int32_t start) { return all(start); }
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {dot_fours(dot.low, codes.low, x), dot_fours(dot.high, codes.high, x)};
    }
    static Floats finish(Dot dot, int32_t) { return to_floats(dot); }
    static Floats finish_long(Dot dot) { return to_floats(dot); }
  };
  static __m256i dot_pairs(__m256i sum, __m256i codes, __m256i x) {
#if defined(GPT2EDGE_EVEX_VNNI)
    return _mm256_dpwssd_epi32(sum, codes, x);
#else
    return _mm256_dpwssd_avx_epi32(sum, codes, x);
#endif
  }
  struct Bits16 : Bits8 {
    static Dot step(Dot dot, const Codes& codes, Inputs x) {
      return {dot_pairs(dot.low, codes.low, x), dot_pairs(dot.high, codes.high, x)};
    }
  };

  struct Bits4 : Bits8 {
    static void load(const uint8_t* p, Codes& low, Codes& high) { load_codes4(p, low, high); }
  };
  struct Bits6 : Bits8 {
    static Codes load(const uint8_t* p) { return load_codes6(p); }
    static Codes load_fourth(const uint8_t* p) { return load_fourth_codes6(p); }
  };

  struct Bits2 : Bits8 {
    static Codes load(const uint8_t* p, int shift) { return load_codes2(p, shift); }
  };
  struct Bits3 : Bits8 {
    static Codes load(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
      return load_codes3(low, low_shift, high, high_shift);
    }
  };
  struct TableBits4 : Bits8 {
    static Codes load(const uint8_t* p, int shift, Table table) {
      return load_table_codes4(p, shift, table);
    }
    static void load(const uint8_t* p, Codes& low, Codes& high, Table table) {
      load_table_codes4(p, table, low, high);
    }
  };

  template <typename Bits, int T>
  using Rows = RowByRow<Isa, Bits, T>;
};

}  // namespace
}  // namespace gpt2edge::kernels
