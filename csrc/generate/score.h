// Log-probabilities of given tokens after given texts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "generate/sampling/logprobs.h"
#include "generate/sequence.h"
#include "generate/window.h"

namespace gpt2edge {

struct ScoredPart {
  Sequence* sequence;
  std::span<const int32_t> tokens;   // to append
  std::span<const int32_t> targets;  // what is to be scored after each of them, as many
};

// Appends the tokens of all parts in one pass, and gives for every part the log-probability of each
// target after its token, and the n_top most likely tokens there, as log_softmax_top does. Holds a
// row of logits for every token meanwhile. Throws what Sequence::append does, std::invalid_argument
// where tokens and targets are not as many or n_top is negative and std::out_of_range for a target
// that is not in the vocabulary; then no sequence has changed. A logit that is no number throws
// FormatError after the pass.
std::vector<std::vector<TopLogprobs>> append_and_rank(std::span<const ScoredPart> parts, int n_top,
                                                      const Interrupt& interrupt);

// The same without the most likely tokens.
std::vector<std::vector<float>> append_and_score(std::span<const ScoredPart> parts,
                                                 const Interrupt& interrupt);

// The log-probability of each token of a text that begins after the token `start`. Holds 128 rows
// of logits at a time. Throws what Window's constructor and append_and_score do.
std::vector<float> score(std::shared_ptr<Model> model, const ContextOptions& contexts,
                         int32_t start, std::span<const int32_t> tokens,
                         const Interrupt& interrupt);

}  // namespace gpt2edge
