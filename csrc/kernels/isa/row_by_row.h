// Dot products of the rows of a matmul's tile with the codes, one row after the other: what most
// instruction sets use.
#pragma once

#include "kernels/panel.h"

namespace gpt2edge::kernels {
namespace {

constexpr int kNever = 1 << 30;  // rows from which something is done that never is

// How an instruction set multiplies by pairs of inputs (algorithms/matmul_pairs.inl.h), where it
// does: not at all.
struct NoPairs {
  static constexpr int kRows = kNever;  // from which it does
  static int32_t products(const int8_t*) { return 0; }
};

// Each instruction set has Bits8, Bits6, Bits4, Bits3 and Bits2 for codes of so many bits, and
// TableBits4 for codes of 4 bits that are indices into a table of 8-bit codes: load() unpacks the
// codes of a step, start() begins a dot product, step() adds four inputs, finish() converts the sum
// to floats. Bits16 is for codes of 16 bits, of which step() adds two inputs. The initial value
// subtracts the offset of unsigned codes; finish() gets it too, since some instruction sets can use
// it only there. finish() is for sums of a block, finish_long() for any.
//
// T rows times such codes. An instruction set with an instruction for several rows has a class of
// its own with these members.
template <typename Isa, typename Bits, int T>
struct RowByRow : Bits {
  static constexpr int kSteps = 1;  // of four inputs, that one load of codes covers
  struct Dots {
    typename Bits::Dot row[T];
  };

  // The codes of steps s .. s + kSteps - 1, of each of which `load` has the codes.
  template <typename Load>
  static GPT2EDGE_INLINE typename Bits::Codes gather(int s, Load load) {
    return load(s);
  }
  static GPT2EDGE_INLINE Dots start(const int32_t* starts) {
    Dots dots;
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) dots.row[t] = Bits::start(starts[t]);
    return dots;
  }
  // The inputs `x`, [kSteps][T][4], times the codes of P panels.
  template <int P>
  static GPT2EDGE_INLINE void step(Dots (&dots)[P], const typename Bits::Codes (&codes)[P],
                                   const int8_t* x) {
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) {
      const typename Isa::Inputs inputs = Isa::load_inputs(x + 4 * t);
      GPT2EDGE_UNROLL
      for (int p = 0; p < P; ++p) dots[p].row[t] = Bits::step(dots[p].row[t], codes[p], inputs);
    }
  }
  static GPT2EDGE_INLINE void finish(const Dots& dots, const int32_t* starts,
                                     typename Isa::Floats* sums) {
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) sums[t] = Bits::finish(dots.row[t], starts[t]);
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
