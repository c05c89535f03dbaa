// Log-probabilities of tokens under the model itself.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gpt2edge {

struct TokenLogprob {
  int32_t token;
  float logprob;  // natural logarithm; -infinity for a banned token
};

struct TopLogprobs {
  float chosen;                   // of the chosen token
  std::vector<TokenLogprob> top;  // the most likely tokens, best first
};

// For logits of shape (n_vocab): the log-softmax of the chosen token, and the n_top most likely (or
// as many as are not banned). This is the model's own distribution: temperature 1, no filters, no
// bias, no penalty. The sum runs in double. Throws std::out_of_range for a token that is not in the
// vocabulary, std::invalid_argument for a negative n_top, and what max_logit throws.
TopLogprobs log_softmax_top(std::span<const float> logits, int32_t chosen, int n_top);

}  // namespace gpt2edge
