// The fields of gpt2edge_text_options as the core's options; the core checks their ranges.
#include "c_api/text_options.h"

#include <cmath>
#include <limits>

#include "generate/sampling/random.h"

namespace gpt2edge::c_api {
namespace {

gpt2edge_text_options defaults() {
  const TextOptions text;
  const SamplerOptions& sampling = text.sampling;
  gpt2edge_text_options out{};
  out.max_tokens = *text.max_tokens;
  out.max_time = -1;
  out.temperature = sampling.temperature;
  out.top_k = sampling.top_k;
  out.top_p = sampling.top_p;
  out.min_p = sampling.min_p;
  out.typical_p = sampling.typical_p;
  out.xtc_probability = sampling.xtc_probability;
  out.xtc_threshold = sampling.xtc_threshold;
  out.repetition_penalty = sampling.repetition_penalty;
  out.penalty_last_n = sampling.penalty_last_n;
  out.dry_multiplier = sampling.dry_multiplier;
  out.dry_base = sampling.dry_base;
  out.dry_allowed_length = sampling.dry_allowed_length;
  out.dry_penalty_last_n = sampling.dry_penalty_last_n;
  out.forced_first_token = -1;
  out.discard = -1;
  out.max_draft_tokens = kMaxDraft;
  return out;
}

std::vector<std::string> strings_of(const char* const* strings, size_t n, const char* name) {
  std::vector<std::string> out;
  for (const char* string : array_of(strings, n, name)) out.emplace_back(&required(string, name));
  return out;
}

std::vector<int32_t> tokens_of(const int32_t* tokens, size_t n, const char* name) {
  const auto given = array_of(tokens, n, name);
  return {given.begin(), given.end()};
}

// -1 stands for none.
template <typename T>
std::optional<T> unless_none(T value, const char* name) {
  if (value == T{-1}) return std::nullopt;
  if (!(value >= T{0})) {
    throw std::invalid_argument(message(name, " is ", value, "; give 0 or more, or -1 for none"));
  }
  return value;
}

Overflow overflow_of(int32_t number) {
  switch (number) {
    case GPT2EDGE_OVERFLOW_STOP:
      return Overflow::kStop;
    case GPT2EDGE_OVERFLOW_ERROR:
      return Overflow::kError;
    case GPT2EDGE_OVERFLOW_SLIDE:
      return Overflow::kSlide;
    default:
      throw std::invalid_argument(message("context_overflow is ", number,
                                          "; give one of the constants GPT2EDGE_OVERFLOW_..."));
  }
}

LogitsProcessor processor_of(const gpt2edge_text_options& given) {
  if (given.logits_processor == nullptr) return {};
  return [function = given.logits_processor, user = given.logits_processor_user](
             std::span<float> logits, std::span<const int32_t> tokens) {
    function(user, logits.data(), logits.size(), tokens.data(), tokens.size());
  };
}

SamplerOptions sampler_options(const gpt2edge_text_options& given) {
  SamplerOptions out;
  out.temperature = given.temperature;
  out.top_k = given.top_k;
  out.top_p = given.top_p;
  out.min_p = given.min_p;
  out.typical_p = given.typical_p;
  out.xtc_probability = given.xtc_probability;
  out.xtc_threshold = given.xtc_threshold;
  out.repetition_penalty = given.repetition_penalty;
  out.frequency_penalty = given.frequency_penalty;
  out.presence_penalty = given.presence_penalty;
  out.penalty_last_n = given.penalty_last_n;
  out.no_repeat_ngram_size = given.no_repeat_ngram_size;
  out.min_tokens = given.min_tokens;
  out.dry_multiplier = given.dry_multiplier;
  out.dry_base = given.dry_base;
  out.dry_allowed_length = given.dry_allowed_length;
  out.dry_penalty_last_n = given.dry_penalty_last_n;
  if (given.dry_sequence_breakers != nullptr) {
    out.dry_sequence_breakers = strings_of(given.dry_sequence_breakers,
                                           given.n_dry_sequence_breakers, "dry_sequence_breakers");
  }
  out.suppress_tokens =
      tokens_of(given.suppress_tokens, given.n_suppress_tokens, "suppress_tokens");
  out.begin_suppress_tokens = tokens_of(given.begin_suppress_tokens, given.n_begin_suppress_tokens,
                                        "begin_suppress_tokens");
  out.forced_first_token = unless_none(given.forced_first_token, "forced_first_token");
  for (const auto& [token, bias] : array_of(given.logit_bias, given.n_logit_bias, "logit_bias")) {
    out.logit_bias.emplace_back(token, bias);
  }
  out.logits_processor = processor_of(given);
  out.seed = given.has_seed != 0 ? given.seed : drawn_seed();
  return out;
}

SpeculationOptions speculation_options(const gpt2edge_text_options& given) {
  SpeculationOptions out;
  out.prompt_lookup = given.prompt_lookup != 0;
  out.max_draft = given.max_draft_tokens;
  if (given.draft_model == nullptr) return out;
  const auto draft = Models::get(given.draft_model);
  out.draft = draft->model;
  out.draft_vocabulary = draft->vocabulary;
  out.draft_contexts = draft->contexts;
  return out;
}

}  // namespace

GivenTextOptions read_text_options(const gpt2edge_text_options* pointer) {
  const auto given = read_struct(pointer, defaults(), "gpt2edge_text_options");
  GivenTextOptions out;
  out.text.max_tokens = unless_none(given.max_tokens, "max_tokens");
  out.text.sampling = sampler_options(given);
  out.text.stop = strings_of(given.stop, given.n_stop, "stop");
  out.text.logprobs = given.logprobs;
  out.text.ignore_eos = given.ignore_eos != 0;
  out.text.max_time = unless_none(given.max_time, "max_time");
  out.text.context_overflow = overflow_of(given.context_overflow);
  if (given.keep < -1) {
    throw std::invalid_argument(
        message("keep is ", given.keep, "; give 0 or more, or -1 for the whole prompt"));
  }
  out.text.keep = given.keep;
  out.text.discard = unless_none(given.discard, "discard");
  out.speculation = speculation_options(given);
  out.allow_special = given.allow_special != 0;
  return out;
}

}  // namespace gpt2edge::c_api

gpt2edge_status gpt2edge_text_options_init(gpt2edge_text_options* options, size_t size) {
  using namespace gpt2edge::c_api;
  return guarded([&] { init_struct(options, defaults(), size, "gpt2edge_text_options"); });
}
