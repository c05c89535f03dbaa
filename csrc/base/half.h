// Conversions between float and 16-bit floats (half, bfloat16), to the nearest, ties to even.
//
// Kernel sources include this header, so every function here is static: a copy compiled for a wide
// instruction set never becomes the one that other files call.
#pragma once

#include <stdint.h>
#include <string.h>

namespace gpt2edge {

static inline uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  if (magnitude >= 0x7C00u) {  // infinity, or a NaN made quiet
    const uint32_t quiet = magnitude > 0x7C00u ? 0x400000u : 0u;
    return float_of_bits(sign | 0x7F800000u | quiet | (magnitude & 0x3FFu) << 13);
  }
  if (magnitude < 0x400u) {  // subnormal: counts of 2^-24, which no float here rounds
    const float value = static_cast<float>(magnitude) * float_of_bits(0x33800000u);
    return float_of_bits(sign | float_bits(value));
  }
  return float_of_bits(sign | ((magnitude << 13) + 0x38000000u));
}

static inline uint16_t float_to_half(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {
    return static_cast<uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x1FFu));
  }
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // 65520 and up
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 aligns the number so that its last bit counts 2^-24.
    const float aligned = float_of_bits(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (float_bits(aligned) - 0x3F000000u));
  }
  const uint32_t odd = magnitude >> 13 & 1u;
  const uint32_t rounded = magnitude - 0x38000000u + 0xFFFu + odd;
  return static_cast<uint16_t>(sign | rounded >> 13);
}

static inline float bfloat16_to_float(uint16_t half) {
  return float_of_bits(static_cast<uint32_t>(half) << 16);
}

static inline uint16_t float_to_bfloat16(float x) {
  const uint32_t bits = float_bits(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace gpt2edge
