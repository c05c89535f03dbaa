#include "generate/sampling/sampler_options.h"

#include <stdexcept>

#include "base/error.h"
#include "generate/sampling/candidates.h"

namespace gpt2edge {
namespace {

template <typename Number>
void require(bool valid, const char* option, Number value, const char* range) {
  if (!valid) {
    throw std::invalid_argument(message(option, " is ", value, ", expected ", range));
  }
}

void require_share(const char* option, double value, const char* range) {
  require(value >= 0 && value <= 1, option, value, range);
}

void require_count(const char* option, int value, int least, const char* range) {
  require(value >= least, option, value, range);
}

void require_tokens(const char* what, const std::vector<int32_t>& tokens) {
  for (const int32_t token : tokens) require(token >= 0, what, token, "0 or more");
}

void validate_truncation(const SamplerOptions& o) {
  require(o.temperature >= 0 && o.temperature <= kLargestFloat, "temperature", o.temperature,
          "a number from 0 (greedy) up");
  require_count("top_k", o.top_k, 0, "0 (off) or more");
  require_share("top_p", o.top_p, "0 to 1 (off)");
  require_share("min_p", o.min_p, "0 (off) to 1");
  require_share("typical_p", o.typical_p, "0 to 1 (off)");
  require_share("xtc_probability", o.xtc_probability, "0 (off) to 1");
  require_share("xtc_threshold", o.xtc_threshold, "0 to 1; above 0.5 is off");
}

void validate_penalties(const SamplerOptions& o) {
  require(o.repetition_penalty > 0 && o.repetition_penalty <= kLargestFloat, "repetition_penalty",
          o.repetition_penalty, "a number above 0; 1 is off");
  require(o.frequency_penalty >= -2 && o.frequency_penalty <= 2, "frequency_penalty",
          o.frequency_penalty, "-2 to 2; 0 is off");
  require(o.presence_penalty >= -2 && o.presence_penalty <= 2, "presence_penalty",
          o.presence_penalty, "-2 to 2; 0 is off");
  require_count("penalty_last_n", o.penalty_last_n, -1, "-1 (all tokens), 0 (off) or more");
}

void validate_dry(const SamplerOptions& o) {
  require(o.dry_multiplier >= 0 && o.dry_multiplier <= kLargestFloat, "dry_multiplier",
          o.dry_multiplier, "a number from 0 (off) up");
  require(o.dry_base >= 1 && o.dry_base <= kLargestFloat, "dry_base", o.dry_base,
          "a number from 1 up");
  require_count("dry_allowed_length", o.dry_allowed_length, 1, "1 or more");
  require_count("dry_penalty_last_n", o.dry_penalty_last_n, -1, "-1 (all tokens), 0 (off) or more");
  for (const std::string& breaker : o.dry_sequence_breakers) {
    require(!breaker.empty(), "a text of dry_sequence_breakers", "empty", "a character or more");
  }
}

void validate_tokens(const SamplerOptions& o) {
  require_count("no_repeat_ngram_size", o.no_repeat_ngram_size, 0, "0 (off) or more");
  require_count("min_tokens", o.min_tokens, 0, "0 (off) or more");
  require_tokens("a token of suppress_tokens", o.suppress_tokens);
  require_tokens("a token of begin_suppress_tokens", o.begin_suppress_tokens);
  require_tokens("a token of end_tokens", o.end_tokens);
  const int32_t first = o.forced_first_token.value_or(0);
  require(first >= 0, "forced_first_token", first, "0 or more");
  for (const auto& [token, bias] : o.logit_bias) {
    require(token >= 0, "a token of logit_bias", token, "0 or more");
    if (!(bias <= kLargestFloat)) {
      throw std::invalid_argument(message("logit_bias of token ", token, " is ", bias,
                                          ", expected a number, or -infinity to ban the token"));
    }
  }
}

}  // namespace

void validate(const SamplerOptions& options) {
  validate_truncation(options);
  validate_penalties(options);
  validate_dry(options);
  validate_tokens(options);
}

}  // namespace gpt2edge
