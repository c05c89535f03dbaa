// How the rows of a matmul's tile meet the codes in most vocabularies: one row after the other.
#pragma once

#include "kernels/panel.h"

namespace gpt2edge::kernels {
namespace {

// Of codes of 8, 6, 4, 3 and 2 bits a vocabulary has Bits8 .. Bits2, and TableBits4 of those that
// choose from a table of 8-bit codes: load() unpacks those of a step, a dot product start()s, takes
// a step() for every four inputs, and finish()es as floats. A
// start takes off what unsigned codes have too much; it is given again at the end, since some
// vocabularies can use it only there. finish() is for sums of a block, finish_long() for any.
//
// T rows against such codes. A vocabulary with an instruction for several rows brings a
// class of its own with these members.
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
  // The inputs `x`, [kSteps][T][4], against the codes of P panels.
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
