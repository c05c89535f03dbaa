// The logits of a model's classifier for texts.
#pragma once

#include "generate/states/hidden_states.h"

namespace gpt2edge {

// For each text a logit for each label: of the text's last token, or, where the model classifies
// tokens, of each token after the other. Throws UnsupportedError for a model that has no
// classifier, and what for_each_text_states does.
std::vector<std::vector<float>> classify(std::shared_ptr<Model> model,
                                         const ContextOptions& contexts, const TokenLists& texts,
                                         const Interrupt& interrupt);

}  // namespace gpt2edge
