#include "generate/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "generate/sampling/logit_row.h"
#include "generate/sampling/no_repeat_ngram.h"
#include "generate/sampling/random.h"

namespace gpt2edge {
namespace {

constexpr uint32_t kXtcStream = 1;  // the noise of the tokens has streams 0 and 2

SamplerOptions valid(SamplerOptions options) {
  validate(options);
  return options;
}

int32_t in_vocabulary(int32_t token, const Logits& logits, const char* origin) {
  if (static_cast<size_t>(token) >= logits.all.size()) {
    throw std::invalid_argument(message(origin, " token ", token, ", but the vocabulary has only ",
                                        logits.all.size(), " tokens"));
  }
  return token;
}

}  // namespace

Sampler::Sampler(SamplerOptions options, std::shared_ptr<const TokenizerTables> vocabulary)
    : options_(valid(std::move(options))),
      penalties_(options_),
      dry_(options_, std::move(vocabulary)),
      shortlist_(options_.temperature) {}

int32_t Sampler::sample(const Logits& logits) {
  const int32_t token = choose(logits);
  ++draw_index_;
  return token;
}

void Sampler::accept_prompt(int32_t token) { record(token, false); }

void Sampler::accept(int32_t token) {
  record(token, true);
  ++n_generated_;
}

void Sampler::record(int32_t token, bool is_generated) {
  if (token < 0) throw std::invalid_argument(message("token is ", token, ", expected 0 or more"));
  penalties_.accept(token, is_generated);
  dry_.accept(token);
  if (keeps_text()) text_.push_back(token);
}

bool Sampler::keeps_text() const {
  return dry_.is_on() || options_.no_repeat_ngram_size > 0 || options_.logits_processor != nullptr;
}

void Sampler::reset() {
  text_.clear();
  penalties_.clear();
  dry_.clear();
  n_generated_ = 0;
  draw_index_ = 0;
}

Sampler Sampler::for_drafts() const {
  Sampler fork = *this;
  fork.options_.logits_processor = nullptr;
  return fork;
}

int32_t Sampler::choose(const Logits& logits) {
  if (is_first() && options_.forced_first_token) {
    return in_vocabulary(*options_.forced_first_token, logits, "forced_first_token is");
  }
  const Logits adjusted = adjust(logits);
  const float max = max_logit(adjusted);
  return is_greedy() ? first_token_with(adjusted, max) : draw(adjusted, max);
}

// Whether a step before temperature is active. If none is, the model's maxima of blocks are still
// valid, and most logits are skipped.
bool Sampler::changes_logits() const {
  return !options_.logit_bias.empty() || penalties_.any() || keeps_text() ||
         !options_.suppress_tokens.empty() || n_generated_ < options_.min_tokens ||
         (is_first() && !options_.begin_suppress_tokens.empty());
}

Logits Sampler::adjust(const Logits& logits) {
  if (!changes_logits()) return logits;
  adjusted_.assign(logits.all.begin(), logits.all.end());
  const LogitRow row{adjusted_};
  if (options_.logits_processor != nullptr) process();
  add_bias(row);
  penalties_.apply(row);
  if (dry_.is_on()) dry_.apply(row, text_);
  if (options_.no_repeat_ngram_size > 0) {
    ban_repeated_ngrams(row, text_, options_.no_repeat_ngram_size);
  }
  ban_tokens(row);
  return {adjusted_};
}

void Sampler::process() {
  max_logit({adjusted_});  // fails for the model's own NaN: one found below is the processor's
  options_.logits_processor(adjusted_, text_);
  const auto bad = std::find_if(adjusted_.begin(), adjusted_.end(),
                                [](float logit) { return !(logit <= kLargestFloat); });
  if (bad == adjusted_.end()) return;
  throw std::invalid_argument(message("logits_processor made the logit of token ",
                                      bad - adjusted_.begin(), " ", *bad,
                                      ", expected a number, or -infinity to ban the token"));
}

void Sampler::add_bias(const LogitRow& row) const {
  for (const auto& [token, bias] : options_.logit_bias) {
    float& logit = row.at(token, "logit_bias names");
    const double sum = double{logit} + bias;
    logit = std::isfinite(logit) && std::isfinite(bias) ? to_logit(sum) : static_cast<float>(sum);
  }
}

void Sampler::ban_tokens(const LogitRow& row) const {
  if (n_generated_ < options_.min_tokens) {
    for (const int32_t token : options_.end_tokens) row.ban(token, "end_tokens names");
  }
  for (const int32_t token : options_.suppress_tokens) row.ban(token, "suppress_tokens names");
  if (!is_first()) return;
  for (const int32_t token : options_.begin_suppress_tokens) {
    row.ban(token, "begin_suppress_tokens names");
  }
}

int32_t Sampler::draw(const Logits& logits, float max) {
  const Noise noise(options_.seed, draw_index_);
  const bool excludes = excludes_top_choices();
  const bool is_whole = options_.top_k == 0 && options_.top_p == 1;
  if (is_whole && options_.typical_p == 1 && !excludes) {
    return shortlist_.draw_from_all(logits, max, options_.min_p, noise);
  }
  truncate(logits, max, excludes);
  return shortlist_.draw(noise);
}

bool Sampler::excludes_top_choices() const {
  return options_.xtc_probability > 0 &&
         random_uniform(options_.seed, draw_index_, kXtcStream) < options_.xtc_probability;
}

void Sampler::truncate(const Logits& logits, float max, bool excludes) {
  if (options_.top_k > 0) {
    shortlist_.take_top_k(logits, max, options_.top_k);
  } else if (options_.top_p == 1 && options_.min_p > 0) {
    shortlist_.take_min_p(logits, max, options_.min_p);
  } else {
    shortlist_.take_all(logits, max);
  }
  shortlist_.keep_top_p(options_.top_p);
  shortlist_.keep_min_p(options_.min_p);
  shortlist_.keep_typical_p(options_.typical_p);
  if (excludes) shortlist_.exclude_top_choices(options_.xtc_threshold);
}

}  // namespace gpt2edge
