// exp and log that give the same bits on every machine.
//
// The C library's differ in the last place between systems, and one bit is enough to sample another
// token. These use only +, -, *, / on doubles, which IEEE 754 fixes, and the build forbids the
// compiler to fuse them. Their relative error is about 1e-12, far below a float's 6e-8. A version
// of exp on floats is several times as fast.
#pragma once

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>

namespace gpt2edge {

static_assert(FLT_EVAL_METHOD == 0, "numbers must be rounded to their type after every operation");

// e^x for x from -700 to 0, without a branch.
inline double portable_exp_in_range(double x) {
  // x = n ln 2 + r with |r| <= ln(2)/2. Adding 1.5 * 2^52 rounds to an integer and leaves it in the
  // low bits of the sum. The high part of ln 2 has few enough bits for n times it to be exact.
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  constexpr double kLn2High = 0x1.62e42feep-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr double kRound = 0x1.8p52;
  const double shifted = x * kLog2E + kRound;
  const double n = shifted - kRound;
  const double r = (x - n * kLn2High) - n * kLn2Low;

  // Taylor's series; the first term left out is below r^11 / 11! = 3e-13.
  double sum = 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;

  const double power_of_two =
      std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);
  return sum * power_of_two;
}

// e^x for x <= 0; exactly 0 below -700, -infinity included.
inline double portable_exp(double x) { return x < -700.0 ? 0.0 : portable_exp_in_range(x); }

// e^x for x from -87 to 0, to about 1e-7 of it: as above, on floats.
inline float portable_exp_float_in_range(float x) {
  constexpr float kLog2E = 0x1.715476p+0F;
  constexpr float kLn2High = 0x1.62e4p-1F;
  constexpr float kLn2Low = 0x1.7f7d1c0p-20F;
  constexpr float kRound = 0x1.8p23F;
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;

  // The first term left out is below r^8 / 8! = 5e-9.
  float sum = 1.0F / 5040;
  sum = sum * r + 1.0F / 720;
  sum = sum * r + 1.0F / 120;
  sum = sum * r + 1.0F / 24;
  sum = sum * r + 1.0F / 6;
  sum = sum * r + 0.5F;
  sum = sum * r + 1.0F;
  sum = sum * r + 1.0F;

  const float power_of_two = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 127) << 23);
  return sum * power_of_two;
}

// ln x for a positive, finite x.
inline double portable_log(double x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh((m - 1) / (m + 1)).
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0x1.6a09e667f3bcdp-1) {
    m *= 2;
    --exponent;
  }
  const double t = (m - 1) / (m + 1);
  const double t2 = t * t;
  double series = 0;
  for (int k = 17; k >= 1; k -= 2) series = series * t2 + 1.0 / k;
  return exponent * 0x1.62e42fefa39efp-1 + 2 * t * series;
}

}  // namespace gpt2edge
