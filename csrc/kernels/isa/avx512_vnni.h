// SIMD primitives for AVX-512 with VNNI (Cascade Lake and Ice Lake on, Zen 4 on). 16 lanes are one
// register; vpdpbusd multiplies 64 unsigned codes by 64 signed inputs and adds them by fours.
//
// 8-bit codes are packed with 128 added to make them unsigned, 4-bit codes are 0..15: the initial
// value of a block's sum subtracts the offset, 128 or 8 times the sum of the inputs.
#pragma once

#include <immintrin.h>

#include "kernels/isa/row_by_row.h"
#include "kernels/isa/x86_lanes.h"

namespace gpt2edge::kernels {
namespace {

struct Isa : X86Lanes {
  static constexpr int kCodeBias = 128;
  static constexpr int kMaxTokens = 6;  // rows of a matmul's tile
  static constexpr int kMaxPanels = 2;  // by which it goes at once
  // Rows that codes are unpacked for first.
  static constexpr int kUnpackRows4 = 32, kUnpackRows6 = 32, kUnpackRowsTable = 32;
  static constexpr int kQueries = 8;  // rows of attention's tile

  using Floats = __m512;

  // ---- floats ----

  static Floats broadcast(float x) { return _mm512_set1_ps(x); }
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Floats a) { _mm512_storeu_ps(p, a); }
  static __m256i load_32(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static Floats load_f16(const uint8_t* p) { return _mm512_cvtph_ps(load_32(p)); }
  static Floats load_bf16(const uint8_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_32(p)), 16));
  }
  static __m128i load_16(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static Floats load_u8(const uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_16(p)));
  }
  static Floats load_s8(const uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16(p)));
  }
  static void store_f16(uint8_t* p, Floats a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }

  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats sqrt(Floats a) { return _mm512_sqrt_ps(a); }

  static Floats scale_by_power_of_2(Floats a, Floats shifted) {
    const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), n));
  }

  static __m256 high_half(Floats a) { return _mm512_extractf32x8_ps(a, 1); }
  static float sum(Floats a) {
    return sum_of_8(_mm256_add_ps(_mm512_castps512_ps256(a), high_half(a)));
  }
  static float max_lane(Floats a) {
    return max_of_8(_mm256_max_ps(_mm512_castps512_ps256(a), high_half(a)));
  }
  static void store_low_bytes(int8_t* p, Floats a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(a)));
  }

  // ---- dot products ----

  using Inputs = __m512i;  // four, repeated
  static Inputs load_inputs(const int8_t* x) { return _mm512_set1_epi32(four_inputs(x)); }

  using Table = __m512i;  // 16 codes, repeated
  static Table load_table(const uint8_t* table) { return _mm512_broadcast_i32x4(load_16(table)); }

  struct Bits8 {
    using Dot = __m512i;
    using Codes = __m512i;
    static Codes load(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static Dot start(int32_t start) { return _mm512_set1_epi32(start); }
    static Dot step(Dot dot, Codes codes, Inputs x) { return _mm512_dpbusd_epi32(dot, codes, x); }
    static Floats finish(Dot dot, int32_t) { return _mm512_cvtepi32_ps(dot); }
    static Floats finish_long(Dot dot) { return _mm512_cvtepi32_ps(dot); }
  };
  struct Bits4 : Bits8 {
    static void load(const uint8_t* p, Codes& low, Codes& high) {
      const __m512i mask = _mm512_set1_epi8(15);
      const __m512i both = _mm512_loadu_si512(p);
      low = _mm512_and_si512(both, mask);
      high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
    }
  };
  struct Bits6 : Bits8 {
    static Codes load(const uint8_t* p) {
      return _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(63));
    }
    static Codes load_fourth(const uint8_t* p) {
      constexpr int kSelect = 0xD8;  // the third operand's bits choose: set ones take the second's
      const __m512i first = _mm512_srli_epi16(_mm512_loadu_si512(p), 6);
      const __m512i second = _mm512_srli_epi16(_mm512_loadu_si512(p + 64), 4);
      const __m512i third = _mm512_srli_epi16(_mm512_loadu_si512(p + 128), 2);
      const __m512i two = _mm512_ternarylogic_epi32(first, second, _mm512_set1_epi8(12), kSelect);
      const __m512i all = _mm512_ternarylogic_epi32(two, third, _mm512_set1_epi8(48), kSelect);
      return _mm512_and_si512(all, _mm512_set1_epi8(63));
    }
  };

  static __m512i bits_of(const uint8_t* p, unsigned shift, char mask) {
    return _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(p), shift),
                            _mm512_set1_epi8(mask));
  }
  struct Bits2 : Bits8 {
    static Codes load(const uint8_t* p, unsigned shift) { return bits_of(p, shift, 3); }
  };
  struct Bits3 : Bits8 {
    static Codes load(const uint8_t* low, unsigned low_shift, const uint8_t* high,
                      unsigned high_shift) {
      return _mm512_or_si512(bits_of(low, low_shift, 3),
                             _mm512_slli_epi16(bits_of(high, high_shift, 1), 2));
    }
  };
  struct TableBits4 : Bits8 {
    static Codes load(const uint8_t* p, unsigned shift, Table table) {
      return _mm512_shuffle_epi8(table, bits_of(p, shift, 15));
    }
    static void load(const uint8_t* p, Codes& low, Codes& high, Table table) {
      Bits4::load(p, low, high);
      low = _mm512_shuffle_epi8(table, low);
      high = _mm512_shuffle_epi8(table, high);
    }
  };
  static void unpack_codes4(const uint8_t* p, Table table, uint8_t* low, uint8_t* high) {
    __m512i codes[2];
    TableBits4::load(p, codes[0], codes[1], table);
    _mm512_storeu_si512(low, codes[0]);
    _mm512_storeu_si512(high, codes[1]);
  }

  template <typename Bits, int T>
  using Rows = RowByRow<Isa, Bits, T>;
};

}  // namespace
}  // namespace gpt2edge::kernels
