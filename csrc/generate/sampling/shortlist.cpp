#include "generate/sampling/shortlist.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "generate/sampling/portable_math.h"

namespace gpt2edge {
namespace {

constexpr double kSmallestFloat = std::numeric_limits<float>::denorm_min();

// The nucleus is looked for among this many tokens, then among 8 times as many, and so on.
constexpr size_t kFirstNucleus = 64;

// 1/T, and a harmless number where greedy sampling never asks for it. It overflows for no T > 0
// that a float can hold; smaller ones act as the smallest.
double inverse(double temperature) { return 1.0 / std::max(temperature, kSmallestFloat); }

// The first place whose running sum is above a share of the last one. uniform < 1, and then its
// product with the total is below the total in floating point too, so there is always one; and a
// token of weight 0, whose sum only equals its neighbour's, is never it.
size_t draw_place(const std::vector<double>& cumulative, double uniform) {
  const double target = uniform * cumulative.back();
  return static_cast<size_t>(std::upper_bound(cumulative.begin(), cumulative.end(), target) -
                             cumulative.begin());
}

}  // namespace

Shortlist::Shortlist(double temperature) : inverse_temperature_(inverse(temperature)) {}

double Shortlist::scaled(float logit) const {
  return (double{logit} - double{max_}) * inverse_temperature_;
}

// Proportional to the probability; 1 for the most likely token.
double Shortlist::weight(float logit) const { return portable_exp(scaled(logit)); }

void Shortlist::take_top_k(const Logits& logits, float max, int k) {
  max_ = max;
  select_best(logits, static_cast<size_t>(k), best_);
  accumulate();
}

// Found without sorting all.
void Shortlist::take_top_p(const Logits& logits, float max, double share) {
  max_ = max;
  double total = 0;
  for (const float logit : logits.all) total += weight(logit);
  for (size_t count = kFirstNucleus;; count *= 8) {
    select_best(logits, count, best_);
    accumulate();
    const auto crossing = std::lower_bound(cumulative_.begin(), cumulative_.end(), share * total);
    if (crossing != cumulative_.end()) {
      return keep_first(static_cast<size_t>(crossing - cumulative_.begin()) + 1);
    }
    if (best_.size() < count) return;  // the sums were rounded differently: keep every token
  }
}

void Shortlist::take_min_p(const Logits& logits, float max, double min_p) {
  max_ = max;
  select_best(logits, logits.all.size(), best_, bound(min_p));
  accumulate();
  keep_min_p(min_p);
}

// A logit below all that min_p keeps, by a little more than what may be lost to rounding.
float Shortlist::bound(double min_p) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr double kSlack = 1e-6;
  if (min_p == 0) return -kInfinity;
  const double below = (kSlack - (1 + kSlack) * portable_log(min_p)) / inverse_temperature_;
  const double bound = double{max_} - kSlack * std::abs(double{max_}) - below;
  return bound < -kLargestFloat ? -kInfinity
                                : std::nextafter(static_cast<float>(bound), -kInfinity);
}

void Shortlist::keep_top_p(double share) {
  if (share == 1) return;
  const double sum = share * cumulative_.back();
  const auto crossing = std::lower_bound(cumulative_.begin(), cumulative_.end(), sum);
  keep_first(static_cast<size_t>(crossing - cumulative_.begin()) + 1);
}

void Shortlist::keep_min_p(double min_p) {
  const auto rare = std::partition_point(
      best_.begin(), best_.end(), [&](const Candidate& c) { return weight(c.logit) >= min_p; });
  keep_first(static_cast<size_t>(rare - best_.begin()));
}

void Shortlist::keep_typical_p(double share) {
  if (share == 1) return;
  const double total = cumulative_.back();
  const double log_total = portable_log(total);
  const auto surprise = [&](const Candidate& c) { return log_total - scaled(c.logit); };
  double entropy = 0;
  for (const Candidate& c : best_) entropy += weight(c.logit) / total * surprise(c);

  typical_.clear();
  for (size_t i = 0; i < best_.size(); ++i) {
    typical_.emplace_back(std::abs(surprise(best_[i]) - entropy), i);
  }
  std::sort(typical_.begin(), typical_.end());
  size_t count = 0;
  for (double sum = 0; count == 0 || (count < best_.size() && sum < share * total); ++count) {
    sum += weight(best_[typical_[count].second].logit);
  }
  typical_.resize(count);
  std::sort(typical_.begin(), typical_.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  for (size_t i = 0; i < count; ++i) best_[i] = best_[typical_[i].second];
  best_.resize(count);
  accumulate();
}

void Shortlist::exclude_top_choices(double threshold) {
  const double least = threshold * cumulative_.back();
  const auto rare = std::partition_point(best_.begin(), best_.end(), [&](const Candidate& c) {
    const double w = weight(c.logit);
    return w >= least && w > 0;
  });
  if (rare - best_.begin() < 2) return;
  best_.erase(best_.begin(), rare - 1);
  accumulate();
}

int32_t Shortlist::draw(double uniform) const {
  return best_[draw_place(cumulative_, uniform)].token;
}

int32_t Shortlist::draw_from_all(const Logits& logits, float max, double min_p, double uniform) {
  max_ = max;
  const size_t n = logits.all.size();
  cumulative_.resize(n);
  for (size_t i = 0; i < n; ++i) cumulative_[i] = weight(logits.all[i]);
  double sum = 0;
  for (double& value : cumulative_) {
    sum += value >= min_p ? value : 0;
    value = sum;
  }
  return static_cast<int32_t>(draw_place(cumulative_, uniform));
}

void Shortlist::keep_first(size_t count) {
  best_.resize(count);
  cumulative_.resize(count);
}

void Shortlist::accumulate() {
  cumulative_.resize(best_.size());
  double sum = 0;
  for (size_t i = 0; i < best_.size(); ++i) cumulative_[i] = sum += weight(best_[i].logit);
}

}  // namespace gpt2edge
