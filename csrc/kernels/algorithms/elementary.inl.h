// exp and the activation functions on 16 lanes: the same operations in the same order on every
// instruction set, and no calls of a math library, whose rounding differs between systems.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// Adding this constant rounds a float of magnitude below 2^22 to an integer, ties to even, and
// leaves that integer in the low bits of the sum.
constexpr float kRoundingShift = 12582912.0f;  // 1.5 * 2^23

// e^x to 1 unit in the last place for x in [-87, 88], clamped outside.
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by the minimax polynomial of the Cephes library (expf).
Isa::Floats exponential(Isa::Floats x) {
  x = Isa::max(Isa::min(x, Isa::broadcast(88.0f)), Isa::broadcast(-87.0f));
  const Isa::Floats shifted =
      Isa::fma(x, Isa::broadcast(1.44269504f), Isa::broadcast(kRoundingShift));
  const Isa::Floats n = Isa::sub(shifted, Isa::broadcast(kRoundingShift));
  // ln 2 in two parts: the first has few bits, so that n times it is exact.
  Isa::Floats r = Isa::fma(n, Isa::broadcast(-0.693359375f), x);
  r = Isa::fma(n, Isa::broadcast(2.12194440e-4f), r);
  Isa::Floats p = Isa::broadcast(1.9875691500e-4f);
  p = Isa::fma(p, r, Isa::broadcast(1.3981999507e-3f));
  p = Isa::fma(p, r, Isa::broadcast(8.3334519073e-3f));
  p = Isa::fma(p, r, Isa::broadcast(4.1665795894e-2f));
  p = Isa::fma(p, r, Isa::broadcast(1.6666665459e-1f));
  p = Isa::fma(p, r, Isa::broadcast(5.0000001201e-1f));
  p = Isa::fma(Isa::mul(p, r), r, r);
  p = Isa::add(p, Isa::broadcast(1.0f));
  return Isa::scale_by_power_of_2(p, shifted);
}

// x sigmoid(-u), that is x / (1 + e^u).
Isa::Floats gated(Isa::Floats x, Isa::Floats u) {
  return Isa::div(x, Isa::add(Isa::broadcast(1.0f), exponential(u)));
}

// 0.5 x (1 + tanh(u)) with u = sqrt(2 / pi) (x + 0.044715 x^3), written as x / (1 + e^(-2u)).
Isa::Floats gelu_tanh(Isa::Floats x) {
  const Isa::Floats x2 = Isa::mul(x, x);
  const Isa::Floats inner =
      Isa::fma(x2, Isa::broadcast(-0.0713548162726f), Isa::broadcast(-1.59576912161f));
  return gated(x, Isa::mul(inner, x));
}

// x sigmoid(slope x): SiLU for a slope of 1, the quick GELU for 1.702.
Isa::Floats gated_by_itself(Isa::Floats x, float slope) {
  return gated(x, Isa::mul(x, Isa::broadcast(-slope)));
}

// max(x, 0), and NaN for what is not finite: a maximum would hide it.
Isa::Floats relu(Isa::Floats x) {
  return Isa::add(Isa::max(x, Isa::broadcast(0.0f)), Isa::sub(x, x));
}

// (1 - e) / (1 + e) with e = e^(-2x).
Isa::Floats hyperbolic_tangent(Isa::Floats x) {
  const Isa::Floats one = Isa::broadcast(1.0f);
  const Isa::Floats e = exponential(Isa::mul(x, Isa::broadcast(-2.0f)));
  return Isa::add(Isa::div(Isa::sub(one, e), Isa::add(one, e)), Isa::sub(x, x));
}

// 0.5 x (1 + erf(x / sqrt 2)), with erfc by formula 7.1.26 of Abramowitz and Stegun, whose error
// is below 1.5e-7.
Isa::Floats gelu_erf(Isa::Floats x) {
  const Isa::Floats zero = Isa::broadcast(0.0f), one = Isa::broadcast(1.0f);
  const Isa::Floats magnitude = Isa::max(x, Isa::sub(zero, x));
  const Isa::Floats z = Isa::mul(magnitude, Isa::broadcast(0.707106781f));
  const Isa::Floats t = Isa::div(one, Isa::fma(z, Isa::broadcast(0.3275911f), one));
  Isa::Floats p = Isa::broadcast(1.061405429f);
  p = Isa::fma(p, t, Isa::broadcast(-1.453152027f));
  p = Isa::fma(p, t, Isa::broadcast(1.421413741f));
  p = Isa::fma(p, t, Isa::broadcast(-0.284496736f));
  p = Isa::fma(p, t, Isa::broadcast(0.254829592f));
  const Isa::Floats erfc = Isa::mul(Isa::mul(p, t), exponential(Isa::sub(zero, Isa::mul(z, z))));
  const Isa::Floats below = Isa::mul(Isa::mul(magnitude, Isa::broadcast(0.5f)), erfc);
  return Isa::sub(Isa::max(x, zero), below);
}

}  // namespace
}  // namespace gpt2edge::kernels
