// The SIMD primitives that AVX2 and AVX-VNNI share: all but the dot products. 16 lanes are two
// registers.
#pragma once

#include <immintrin.h>

#include "kernels/isa/row_by_row.h"
#include "kernels/isa/x86_lanes.h"

namespace gpt2edge::kernels {
namespace {

// Eight sums. As __m256i, whose lanes are of 64 bits, a sum that a loop adds to takes two of GCC's
// registers.
#if defined(_MSC_VER) && !defined(__clang__)
using Sums8 = __m256i;
inline Sums8 add_sums(Sums8 a, __m256i b) { return _mm256_add_epi32(a, b); }
inline Sums8 to_sums(__m256i a) { return a; }
inline __m256i from_sums(Sums8 a) { return a; }
#else
typedef uint32_t Sums8 __attribute__((vector_size(32)));
inline Sums8 to_sums(__m256i a) { return reinterpret_cast<Sums8>(a); }
inline Sums8 add_sums(Sums8 a, __m256i b) { return a + to_sums(b); }
inline __m256i from_sums(Sums8 a) { return reinterpret_cast<__m256i>(a); }
#endif

struct Avx2Lanes : X86Lanes {
  struct Floats {
    __m256 low, high;
  };
  struct Ints {
    __m256i low, high;
  };

  // ---- floats ----

  static Floats broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static void store(float* p, Floats a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
  }
  static Floats load_f16(const uint8_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16)))};
  }
  static __m256 load_bf16_8(const uint8_t* p) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
  static Floats load_bf16(const uint8_t* p) { return {load_bf16_8(p), load_bf16_8(p + 16)}; }
  static __m128i load_8(const uint8_t* p) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  }
  static Floats load_u8(const uint8_t* p) {
    return to_floats({_mm256_cvtepu8_epi32(load_8(p)), _mm256_cvtepu8_epi32(load_8(p + 8))});
  }
  static Floats load_s8(const uint8_t* p) {
    return to_floats({_mm256_cvtepi8_epi32(load_8(p)), _mm256_cvtepi8_epi32(load_8(p + 8))});
  }
  static void store_f16(uint8_t* p, Floats a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(a.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 16),
                     _mm256_cvtps_ph(a.high, _MM_FROUND_TO_NEAREST_INT));
  }

  static Floats add(Floats a, Floats b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  static Floats sub(Floats a, Floats b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  static Floats mul(Floats a, Floats b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  static Floats div(Floats a, Floats b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
  static Floats fma(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static Floats max(Floats a, Floats b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  static Floats min(Floats a, Floats b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
  }
  static Floats sqrt(Floats a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }

  static __m256 scale_8(__m256 a, __m256 shifted) {
    const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), n));
  }
  static Floats scale_by_power_of_2(Floats a, Floats shifted) {
    return {scale_8(a.low, shifted.low), scale_8(a.high, shifted.high)};
  }

  static float sum(Floats a) { return sum_of_8(_mm256_add_ps(a.low, a.high)); }
  static float max_lane(Floats a) { return max_of_8(_mm256_max_ps(a.low, a.high)); }
  // The lowest bits, those of a mask of at most 16, as 16 bits each.
  static __m256i low_bits(Floats a, int32_t mask_bits) {
    const __m256i mask = _mm256_set1_epi32(mask_bits);
    const __m256i low = _mm256_and_si256(_mm256_castps_si256(a.low), mask);
    const __m256i high = _mm256_and_si256(_mm256_castps_si256(a.high), mask);
    // Packing works within 128-bit halves: the permutation restores the order in between.
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8);
  }
  static void store_low_halves(int16_t* p, Floats a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), low_bits(a, 0xFFFF));
  }
  static void store_low_bytes(int8_t* p, Floats a) {
    const __m256i words = low_bits(a, 0xFF);
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }

  // ---- for the dot products ----

  static Floats to_floats(Ints a) {
    return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)};
  }
  static Ints all(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static __m256i load_32(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  using Inputs = __m256i;  // four of 8 bits or two of 16, repeated
  static Inputs load_inputs(const int8_t* x) { return _mm256_set1_epi32(as_number(x)); }
  static Inputs load_inputs(const int16_t* x) { return _mm256_set1_epi32(as_number(x)); }

  static void load_codes4(const uint8_t* p, Ints& low, Ints& high) {
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i a = load_32(p), b = load_32(p + 32);
    low = {_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)};
    high = {_mm256_and_si256(_mm256_srli_epi16(a, 4), mask),
            _mm256_and_si256(_mm256_srli_epi16(b, 4), mask)};
  }
  static __m256i bits_of(const uint8_t* p, int shift, char mask) {
    return _mm256_and_si256(_mm256_srli_epi16(load_32(p), shift), _mm256_set1_epi8(mask));
  }
  static Ints load_codes6(const uint8_t* p) { return {bits_of(p, 0, 63), bits_of(p + 32, 0, 63)}; }
  static __m256i fourth_code6_half(const uint8_t* p) {
    return _mm256_or_si256(_mm256_or_si256(bits_of(p, 6, 3), bits_of(p + 64, 4, 12)),
                           bits_of(p + 128, 2, 48));
  }
  static Ints load_fourth_codes6(const uint8_t* p) {
    return {fourth_code6_half(p), fourth_code6_half(p + 32)};
  }

  static Ints load_codes2(const uint8_t* p, int shift) {
    return {bits_of(p, shift, 3), bits_of(p + 32, shift, 3)};
  }
  static __m256i codes3_half(const uint8_t* low, int low_shift, const uint8_t* high,
                             int high_shift) {
    return _mm256_or_si256(bits_of(low, low_shift, 3),
                           _mm256_slli_epi16(bits_of(high, high_shift, 1), 2));
  }
  static Ints load_codes3(const uint8_t* low, int low_shift, const uint8_t* high, int high_shift) {
    return {codes3_half(low, low_shift, high, high_shift),
            codes3_half(low + 32, low_shift, high + 32, high_shift)};
  }

  using Table = __m256i;  // 16 codes, repeated
  static Table load_table(const uint8_t* table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  }
  static Ints look_up(Table table, Ints indices) {
    return {_mm256_shuffle_epi8(table, indices.low), _mm256_shuffle_epi8(table, indices.high)};
  }
  static void load_table_codes4(const uint8_t* p, Table table, Ints& low, Ints& high) {
    load_codes4(p, low, high);
    low = look_up(table, low);
    high = look_up(table, high);
  }
  static Ints load_table_codes4(const uint8_t* p, int shift, Table table) {
    return look_up(table, {bits_of(p, shift, 15), bits_of(p + 32, shift, 15)});
  }
  static void store_64(uint8_t* p, Ints a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), a.high);
  }
  static void unpack_codes4(const uint8_t* p, Table table, uint8_t* low, uint8_t* high) {
    Ints codes[2];
    load_table_codes4(p, table, codes[0], codes[1]);
    store_64(low, codes[0]);
    store_64(high, codes[1]);
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
