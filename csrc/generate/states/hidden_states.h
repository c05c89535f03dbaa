// The hidden states of texts, many texts to a pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "generate/window.h"

namespace gpt2edge {

using TokenLists = std::vector<std::vector<int32_t>>;

struct WantedStates {
  int state;       // which, as Model::hidden_states counts them
  bool last_only;  // of each text's last token, or of all its tokens
};

// Gives each text's states, (1 or the number of its tokens, n_embd) floats, in the order of the
// texts. They are those of the text alone, to the bit, whatever shares the passes. Throws, before
// anything is computed, ContextLengthError for a text that is longer than a context and
// std::invalid_argument for an empty one, a token that is not in the vocabulary and a state that is
// not there; std::bad_alloc without memory for the keys and values of 16 texts.
void for_each_text_states(std::shared_ptr<Model> model, const ContextOptions& contexts,
                          const TokenLists& texts, WantedStates wanted,
                          const std::function<void(size_t text, std::span<const float>)>& take,
                          const Interrupt& interrupt);

}  // namespace gpt2edge
