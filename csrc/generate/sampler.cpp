#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "generate/portable_math.h"
#include "generate/random.h"

namespace gpt2edge {
namespace {

constexpr double kSmallestFloat = std::numeric_limits<float>::denorm_min();

// The nucleus is looked for among this many tokens, then among 8 times as many, and so on.
constexpr size_t kFirstNucleus = 64;

void require(bool valid, const char* option, double value, const char* range) {
  if (!valid) {
    throw std::invalid_argument(message(option, " is ", value, ", expected ", range));
  }
}

bool is_probability(double x) { return x >= 0 && x <= 1; }

void validate(const SamplerOptions& o) {
  require(o.temperature >= 0 && o.temperature <= kLargestFloat, "temperature", o.temperature,
          "a number from 0 (greedy) up");
  require(o.top_k >= 0, "top_k", o.top_k, "0 (off) or more");
  require(is_probability(o.top_p), "top_p", o.top_p, "0 to 1 (off)");
  require(is_probability(o.min_p), "min_p", o.min_p, "0 (off) to 1");
  require(o.repetition_penalty > 0 && o.repetition_penalty <= kLargestFloat, "repetition_penalty",
          o.repetition_penalty, "a number above 0; 1 is off");
  require(o.repetition_window >= 0, "repetition_window", o.repetition_window,
          "0 (all tokens) or more");
  for (const auto& [token, bias] : o.logit_bias) {
    require(token >= 0, "a token of logit_bias", token, "0 or more");
    if (!(bias <= kLargestFloat)) {
      throw std::invalid_argument(message("logit_bias of token ", token, " is ", bias,
                                          ", expected a number, or -infinity to ban the token"));
    }
  }
}

// 1/T, and a harmless number where greedy sampling never asks for it. It overflows for no T > 0
// that a float can hold; smaller ones act as the smallest.
double inverse(double temperature) { return 1.0 / std::max(temperature, kSmallestFloat); }

// An adjusted logit stays finite unless it was not: only the user bans a token.
float to_logit(double x) {
  return static_cast<float>(std::clamp<double>(x, -kLargestFloat, kLargestFloat));
}

float& logit_of(std::vector<float>& logits, int32_t token, const char* origin) {
  if (static_cast<size_t>(token) >= logits.size()) {
    throw std::invalid_argument(message(origin, " token ", token, ", but the vocabulary has only ",
                                        logits.size(), " tokens"));
  }
  return logits[static_cast<size_t>(token)];
}

// The first place whose running sum is above a share of the last one. uniform < 1, and then its
// product with the total is below the total in floating point too, so there is always one; and a
// token of weight 0, whose sum only equals its neighbour's, is never it.
size_t draw_place(const std::vector<double>& cumulative, size_t count, double uniform) {
  const auto end = cumulative.begin() + static_cast<std::ptrdiff_t>(count);
  const double target = uniform * cumulative[count - 1];
  return static_cast<size_t>(std::upper_bound(cumulative.begin(), end, target) -
                             cumulative.begin());
}

}  // namespace

Sampler::Sampler(SamplerOptions options) : options_(std::move(options)) {
  validate(options_);
  inverse_temperature_ = inverse(options_.temperature);
}

int32_t Sampler::sample(const Logits& logits) {
  const Logits adjusted = adjust(logits);
  const float max = max_logit(adjusted);
  const double uniform = random_uniform(options_.seed, draw_index_);
  const bool whole_vocabulary = options_.top_k == 0 && options_.top_p == 1;
  const int32_t token = is_greedy()        ? first_token_with(adjusted, max)
                        : whole_vocabulary ? draw_from_all(adjusted.all, max, uniform)
                                           : draw_from_best(adjusted, max, uniform);
  ++draw_index_;
  return token;
}

void Sampler::accept(int32_t token) {
  require(token >= 0, "token", token, "0 or more");
  if (options_.repetition_penalty == 1) return;
  const auto size = static_cast<size_t>(options_.repetition_window);
  ++seen_[token];
  if (size == 0) return;
  if (window_.size() < size) {
    window_.push_back(token);
    return;
  }
  const auto oldest = seen_.find(std::exchange(window_[window_next_], token));
  if (--oldest->second == 0) seen_.erase(oldest);
  window_next_ = (window_next_ + 1) % size;
}

void Sampler::reset() {
  seen_.clear();
  window_.clear();
  window_next_ = 0;
  draw_index_ = 0;
}

// Bias, then penalty. A token is penalized once however often it was seen.
// Source of the penalty: Keskar et al., "CTRL", 2019, section 4.1, in Hugging Face's form.
Logits Sampler::adjust(const Logits& logits) {
  if (options_.logit_bias.empty() && seen_.empty()) return logits;
  adjusted_.assign(logits.all.begin(), logits.all.end());
  for (const auto& [token, bias] : options_.logit_bias) {
    float& logit = logit_of(adjusted_, token, "logit_bias names");
    const double sum = double{logit} + bias;
    logit = std::isfinite(logit) && std::isfinite(bias) ? to_logit(sum) : static_cast<float>(sum);
  }
  const double penalty = options_.repetition_penalty;
  for (const auto& [token, count] : seen_) {
    float& logit = logit_of(adjusted_, token, "the text contains");
    if (std::isfinite(logit)) logit = to_logit(logit > 0 ? logit / penalty : logit * penalty);
  }
  return {adjusted_};
}

// Proportional to the probability; 1 for the most likely token.
double Sampler::weight(float logit, float max) const {
  return portable_exp((double{logit} - double{max}) * inverse_temperature_);
}

int32_t Sampler::draw_from_all(std::span<const float> logits, float max, double uniform) {
  const size_t n = logits.size();
  cumulative_.resize(n);
  for (size_t i = 0; i < n; ++i) cumulative_[i] = weight(logits[i], max);
  double sum = 0;
  for (double& value : cumulative_) {
    sum += value >= options_.min_p ? value : 0;
    value = sum;
  }
  return static_cast<int32_t>(draw_place(cumulative_, n, uniform));
}

int32_t Sampler::draw_from_best(const Logits& logits, float max, double uniform) {
  if (options_.top_k == 0) {
    keep_nucleus(logits, max);
  } else {
    keep_top_k(logits, max);
  }
  // Relative to the most likely, so what top-k and top-p removed plays no part in min-p.
  const auto rare = std::partition_point(best_.begin(), best_.end(), [&](const Candidate& c) {
    return weight(c.logit, max) >= options_.min_p;
  });
  const auto count = static_cast<size_t>(rare - best_.begin());
  return best_[draw_place(cumulative_, count, uniform)].token;
}

// best_: the top k, less what top-p cuts off. The token that crosses top-p stays.
void Sampler::keep_top_k(const Logits& logits, float max) {
  select_best(logits, static_cast<size_t>(options_.top_k), best_);
  accumulate_best(max);
  if (options_.top_p == 1) return;
  const double share = options_.top_p * cumulative_[best_.size() - 1];
  const auto crossing = std::lower_bound(cumulative_.begin(), cumulative_.end(), share);
  best_.resize(static_cast<size_t>(crossing - cumulative_.begin()) + 1);
}

// best_: the nucleus of the whole vocabulary, found without sorting it all.
// Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020.
void Sampler::keep_nucleus(const Logits& logits, float max) {
  double total = 0;
  for (const float logit : logits.all) total += weight(logit, max);
  const double share = options_.top_p * total;
  for (size_t count = kFirstNucleus;; count *= 8) {
    select_best(logits, count, best_);
    accumulate_best(max);
    const auto crossing = std::lower_bound(cumulative_.begin(), cumulative_.end(), share);
    if (crossing != cumulative_.end()) {
      best_.resize(static_cast<size_t>(crossing - cumulative_.begin()) + 1);
      return;
    }
    if (best_.size() < count) return;  // the sums were rounded differently: keep every token
  }
}

void Sampler::accumulate_best(float max) {
  cumulative_.resize(best_.size());
  double sum = 0;
  for (size_t i = 0; i < best_.size(); ++i) cumulative_[i] = sum += weight(best_[i].logit, max);
}

}  // namespace gpt2edge
