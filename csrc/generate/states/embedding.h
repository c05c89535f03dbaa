// Texts as vectors: the states of their tokens, pooled.
#pragma once

#include "generate/states/hidden_states.h"

namespace gpt2edge {

enum class Pooling : uint8_t {
  kMean,      // of all tokens
  kLast,      // the last token's
  kWeighted,  // the mean where token i, from 1, counts i times
};

struct EmbeddingOptions {
  int state;  // as Model::hidden_states counts them
  Pooling pooling = Pooling::kMean;
  bool normalize = true;  // to a length of 1
};

// A vector of n_embd floats for each text. Sums are made in double, in the order of the tokens: the
// same bits on every processor. Throws what for_each_text_states does.
std::vector<std::vector<float>> embed(std::shared_ptr<Model> model, const ContextOptions& contexts,
                                      const TokenLists& texts, const EmbeddingOptions& options,
                                      const Interrupt& interrupt);

}  // namespace gpt2edge
