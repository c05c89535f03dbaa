// SIMD primitives for AVX-512 with VNNI (Cascade Lake and Ice Lake on, Zen 4 on). 16 lanes are one
// register; vpdpbusd multiplies 64 unsigned codes by 64 signed inputs and adds them by fours.
//
// 8-bit codes are packed with 128 added to make them unsigned, 4-bit codes are 0..15: the initial
// value of a block's sum subtracts the offset, 128 or 8 times the sum of the inputs.
#pragma once

#include <immintrin.h>

#include <type_traits>

#include "kernels/isa/row_by_row.h"
#include "kernels/isa/x86_lanes.h"

namespace gpt2edge::kernels {
namespace {

// Sixteen sums. As __m512i, whose lanes are of 64 bits, a sum that a loop adds to takes two of
// GCC's registers.
#if defined(_MSC_VER) && !defined(__clang__)
using Sums16 = __m512i;
inline Sums16 to_sums(__m512i a) { return a; }
inline __m512i from_sums(Sums16 a) { return a; }
#else
typedef int32_t Sums16 __attribute__((vector_size(64)));
inline Sums16 to_sums(__m512i a) { return reinterpret_cast<Sums16>(a); }
inline __m512i from_sums(Sums16 a) { return reinterpret_cast<__m512i>(a); }
#endif

struct Isa : X86Lanes {
  static constexpr int kCodeBias = 128;
  static constexpr int kMaxTokens = 6;  // rows of a matmul's tile
  static constexpr int kMaxPanels = 2;  // by which it goes at once
  // Rows that codes are unpacked for first.
  static constexpr int kUnpackRows4 = 32, kUnpackRows6 = 32, kUnpackRowsTable = 32;
  static constexpr int kQueries = 8;  // rows of attention's tile
  static constexpr int kSums = 16;    // dot products of 16 codes that it has at once

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
  static void store_low_halves(int16_t* p, Floats a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_castps_si512(a)));
  }

  // ---- tiles of activations ----

  // Six rows at once.
  struct SixRows {
    // The greatest lane of each row, then two numbers more.
    static void max_lanes(const Floats (&row)[6], float* greatest) {
      Floats pair[3];  // in every quarter the lanes even, odd, even, odd
      for (int i = 0; i < 3; ++i) {
        const Floats even = row[2 * i], odd = row[2 * i + 1];
        pair[i] = max(_mm512_unpacklo_ps(even, odd), _mm512_unpackhi_ps(even, odd));
      }
      _mm_storeu_ps(greatest, max_of_quarters(pair[0], pair[1]));
      _mm_storeu_ps(greatest + 4, max_of_quarters(pair[2], pair[2]));
    }
    static __m128 max_of_quarters(Floats a, Floats b) {
      const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
      const Floats four = max(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                              _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
      const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(four), high_half(four));
      return _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    }

    // Stores rows of 32 numbers between -127 and 127 as codes, [step of four][row][4], and the sums
    // of 16 codes, [half][row].
    static void store(const Floats (&low)[6], const Floats (&high)[6], int8_t* codes, int32_t* sums,
                      int32_t* products) {
      for (int t = 0; t < 6; ++t) products[t] = 0;  // as NoPairs has them
      __m512i pair[3];  // codes of two rows, [step of a half][row][half][4]
      __m128 sum[3];    // [row][half]
      for (int i = 0; i < 3; ++i) {
        pair[i] = _mm512_packs_epi16(to_int16(low[2 * i], high[2 * i]),
                                     to_int16(low[2 * i + 1], high[2 * i + 1]));
        sum[i] = sum_of_quarters(pair[i]);
      }
      for (int i = 0; i < 3; ++i) {
        const __m512i of_four = _mm512_permutex2var_epi32(
            pair[0], _mm512_load_si512(kTileOrder.of_four + 16 * i), pair[1]);
        const __m512i of_six = _mm512_permutex2var_epi32(
            of_four, _mm512_load_si512(kTileOrder.of_six + 16 * i), pair[2]);
        _mm512_storeu_si512(codes + 64 * i, of_six);
      }
      auto* to = reinterpret_cast<float*>(sums);
      const __m128 last = _mm_shuffle_ps(sum[2], sum[2], _MM_SHUFFLE(3, 1, 2, 0));
      _mm_storeu_ps(to, _mm_shuffle_ps(sum[0], sum[1], _MM_SHUFFLE(2, 0, 2, 0)));
      _mm_storel_pi(reinterpret_cast<__m64*>(to + 4), last);
      _mm_storeu_ps(to + 6, _mm_shuffle_ps(sum[0], sum[1], _MM_SHUFFLE(3, 1, 3, 1)));
      _mm_storeh_pi(reinterpret_cast<__m64*>(to + 10), last);
    }
    // In every quarter four numbers of `low`, then four of `high`.
    static __m512i to_int16(Floats low, Floats high) {
      return _mm512_packs_epi32(_mm512_cvtps_epi32(low), _mm512_cvtps_epi32(high));
    }
    // Of codes by fours, over the quarters.
    static __m128 sum_of_quarters(__m512i codes) {
      const __m512i fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), codes);
      const __m256i half =
          _mm256_add_epi32(_mm512_castsi512_si256(fours), _mm512_extracti64x4_epi64(fours, 1));
      return _mm_castsi128_ps(
          _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
    }
    // Where the four codes at each place of a tile, [step][row], are among those of two pairs of
    // rows, and then among these and the third pair.
    struct TileOrder {
      alignas(64) int32_t of_four[48], of_six[48];
      constexpr TileOrder() : of_four(), of_six() {
        for (int i = 0; i < 48; ++i) {
          const int step = i / 6, row = i % 6;
          const int in_pair = 4 * (step % 4) + 2 * (row % 2) + step / 4;
          of_four[i] = row < 4 ? 16 * (row / 2) + in_pair : 0;
          of_six[i] = row < 4 ? i % 16 : 16 + in_pair;
        }
      }
    };
    static const TileOrder kTileOrder;
  };
  template <int T, typename RowCodes>
  using TileCodes = std::conditional_t<T == 6, SixRows, RowCodes>;

  // ---- dot products ----

  using Inputs = __m512i;  // four of 8 bits or two of 16, repeated
  static Inputs load_inputs(const int8_t* x) { return _mm512_set1_epi32(as_number(x)); }
  static Inputs load_inputs(const int16_t* x) { return _mm512_set1_epi32(as_number(x)); }

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
  struct Bits16 {
    using Dot = Sums16;
    using Codes = __m512i;
    static Codes load(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static Dot start(int32_t) { return to_sums(_mm512_setzero_si512()); }
    static Dot step(Dot dot, Codes codes, Inputs x) {
      return to_sums(_mm512_dpwssd_epi32(from_sums(dot), codes, x));
    }
    static Floats finish(Dot dot, int32_t) { return finish_long(dot); }
    static Floats finish_long(Dot dot) { return _mm512_cvtepi32_ps(from_sums(dot)); }
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

constexpr Isa::SixRows::TileOrder Isa::SixRows::kTileOrder;

}  // namespace
}  // namespace gpt2edge::kernels
