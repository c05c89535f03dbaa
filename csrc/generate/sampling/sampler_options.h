// The options of the sampler; sampler.h has the order of the steps.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gpt2edge {

// Changes the logits of the next token, given the text so far, prompt included.
using LogitsProcessor = std::function<void(std::span<float>, std::span<const int32_t>)>;

struct SamplerOptions {
  double temperature = 0.8;  // divides the logits; 0: greedy
  int top_k = 40;            // keeps the k most likely, exactly k also when some are equal; 0: all
  double top_p = 1.0;        // keeps the fewest most likely that hold this share of probability
  double min_p = 0.0;        // keeps those at least this probable, relative to the most likely
  double typical_p = 1.0;    // keeps the fewest most typical that hold this share of probability
  double xtc_probability = 0.0;  // how often the top choices are excluded
  double xtc_threshold = 0.1;    // of those at least this probable, all but the least probable

  double repetition_penalty = 1.0;  // a seen token's logit is divided by it, or multiplied if < 0
  double frequency_penalty = 0.0;   // subtracted for each time that a token was generated
  double presence_penalty = 0.0;    // subtracted once from each token that was generated
  int penalty_last_n = -1;          // these three look at the last n tokens; -1: at all, 0: at none

  double dry_multiplier = 0.0;  // of the penalty for a longer repetition; 0: none
  double dry_base = 1.75;       // the penalty grows by this factor with each repeated token
  int dry_allowed_length = 2;   // the first length of a repetition whose next token is penalized
  int dry_penalty_last_n =
      -1;  // it looks for repetitions in the last n tokens; -1: in all, 0: none
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};  // none goes over these

  int no_repeat_ngram_size = 0;                       // no n tokens in a row come twice; 0: off
  int min_tokens = 0;                                 // no end token comes before so many
  std::vector<int32_t> suppress_tokens;               // never come
  std::vector<int32_t> begin_suppress_tokens;         // do not come first after the prompt
  std::optional<int32_t> forced_first_token;          // what comes first after the prompt
  std::vector<std::pair<int32_t, float>> logit_bias;  // (token, added to its logit); -inf bans it
  uint64_t seed = 0;

  LogitsProcessor logits_processor;  // code: no part of a saved text
  std::vector<int32_t> end_tokens;   // banned before min_tokens; Text sets them
};

// Calls visit(name, pointer to member) for each option that a saved text has (saved_text.cpp), in
// its order: all but code and end_tokens.
template <typename Visit>
void each_sampler_option(Visit&& visit) {
  visit("temperature", &SamplerOptions::temperature);
  visit("top_k", &SamplerOptions::top_k);
  visit("top_p", &SamplerOptions::top_p);
  visit("min_p", &SamplerOptions::min_p);
  visit("typical_p", &SamplerOptions::typical_p);
  visit("xtc_probability", &SamplerOptions::xtc_probability);
  visit("xtc_threshold", &SamplerOptions::xtc_threshold);
  visit("repetition_penalty", &SamplerOptions::repetition_penalty);
  visit("frequency_penalty", &SamplerOptions::frequency_penalty);
  visit("presence_penalty", &SamplerOptions::presence_penalty);
  visit("penalty_last_n", &SamplerOptions::penalty_last_n);
  visit("dry_multiplier", &SamplerOptions::dry_multiplier);
  visit("dry_base", &SamplerOptions::dry_base);
  visit("dry_allowed_length", &SamplerOptions::dry_allowed_length);
  visit("dry_penalty_last_n", &SamplerOptions::dry_penalty_last_n);
  visit("dry_sequence_breakers", &SamplerOptions::dry_sequence_breakers);
  visit("no_repeat_ngram_size", &SamplerOptions::no_repeat_ngram_size);
  visit("min_tokens", &SamplerOptions::min_tokens);
  visit("suppress_tokens", &SamplerOptions::suppress_tokens);
  visit("begin_suppress_tokens", &SamplerOptions::begin_suppress_tokens);
  visit("forced_first_token", &SamplerOptions::forced_first_token);
  visit("logit_bias", &SamplerOptions::logit_bias);
  visit("seed", &SamplerOptions::seed);
}

// Throws std::invalid_argument naming the option, its value and its range.
void validate(const SamplerOptions& options);

}  // namespace gpt2edge
