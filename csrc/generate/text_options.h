// The options of a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "generate/sampling/sampler_options.h"
#include "generate/window.h"

namespace gpt2edge {

// What happens when the context is full.
enum class Overflow : uint8_t {
  kStop,   // the text ends
  kError,  // ContextLengthError
  kSlide,  // it goes on, and the model sees its end only (window.h)
};

struct TextOptions {
  std::optional<int64_t> max_tokens = 64;  // to add; none: until the context is full
  SamplerOptions sampling;                 // without end_tokens: the vocabulary has those
  std::vector<std::string> stop;           // UTF-8; the text ends before the first of them
  int logprobs = 0;                // the most likely tokens to report with each one's; 0: none
  bool ignore_eos = false;         // go on after an end-of-text token
  std::optional<double> max_time;  // seconds, from when the Text is made; no part of a saved text
  Overflow context_overflow = Overflow::kStop;
  int keep = 0;                // as in SlideOptions; -1: all of the prompt
  std::optional<int> discard;  // the same

  // For a prompt of so many tokens.
  SlideOptions slide(size_t n_prompt) const {
    const int n_kept = keep == -1 ? static_cast<int>(n_prompt) : keep;
    return {context_overflow == Overflow::kSlide, n_kept, discard};
  }
};

}  // namespace gpt2edge
