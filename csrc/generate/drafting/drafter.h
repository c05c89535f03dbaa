// What drafts tokens for speculative decoding.
//
// Writing one token reads all weights; computing a few rows more beside it costs little. So tokens
// that are likely to come are drafted, computed in one pass, and accepted as far as the sampler,
// with the logits and the random numbers it would have had anyway, chooses the same ones. The text
// is the plain one, bit for bit: a rejected draft token costs time and nothing else.
// Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023;
// there the distribution is kept, here the text is: a draft model draws with the same random
// numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/sampling/sampler.h"
#include "model/model.h"

namespace gpt2edge {

class Drafter {
 public:
  virtual ~Drafter() = default;

  // Up to n tokens that may follow the text, which `sampler` will choose next. It is called with
  // texts of which each begins with the one before, and is longer.
  virtual std::vector<int32_t> draft(std::span<const int32_t> text, int n, const Sampler& sampler,
                                     const Interrupt& interrupt) = 0;
};

}  // namespace gpt2edge
