// Interface of the drafters of speculative decoding.
//
// Decoding one token reads all weights; a few more rows in the same pass cost little. Draft tokens
// are computed in one pass and accepted as far as the sampler, with the same logits and random
// numbers as without drafts, chooses the same ones. The text is identical, bit for bit: a rejected
// draft token costs time only.
// Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023;
// there the distribution is kept, here the text is: a draft model draws with the same random
// numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/allowed_logits.h"
#include "generate/sampling/sampler.h"
#include "model/model.h"

namespace gpt2edge {

class Drafter {
 public:
  virtual ~Drafter() = default;

  // Up to n draft tokens to follow the text, the next of which `sampler` is going to choose, of
  // those that `allowed` leaves, if it is not null. Each call's text begins with that of the call
  // before, and is longer.
  virtual std::vector<int32_t> draft(std::span<const int32_t> text, int n, const Sampler& sampler,
                                     AllowedLogits* allowed, const Interrupt& interrupt) = 0;

  // The time of a draft token as a share of a pass's, about.
  virtual double cost() const { return 0; }
};

}  // namespace gpt2edge
