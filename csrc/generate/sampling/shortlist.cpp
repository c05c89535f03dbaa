#include "generate/sampling/shortlist.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "generate/sampling/portable_math.h"
#include "generate/sampling/weights.h"

namespace gpt2edge {
namespace {

constexpr double kSmallestFloat = std::numeric_limits<float>::denorm_min();
constexpr double kSmallestDouble = std::numeric_limits<double>::denorm_min();

// Of a whole vocabulary so many candidates are sorted at first, and then kGrowth times as many.
constexpr size_t kFirstSorted = 64, kGrowth = 8;

// 1 / temperature. The least positive float stands for smaller temperatures, 0 (greedy, which does
// not use it) included: no overflow.
double inverse(double temperature) { return 1.0 / std::max(temperature, kSmallestFloat); }

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The candidate that is drawn, of those seen so far.
struct Race {
  double least = std::numeric_limits<double>::infinity();  // of the quotients noise / weight
  int32_t token = -1;

  // A candidate's weight is positive. Most have lost by the least noise of their block already.
  void enter(int32_t candidate, double weight, const LeastNoise& block, const Noise& noise) {
    if (is_lost(block.noise / weight, candidate)) return;
    const double quotient = noise.of(candidate, block) / weight;
    if (is_lost(quotient, candidate)) return;
    least = quotient;
    token = candidate;
  }
  bool is_lost(double quotient, int32_t candidate) const {
    return quotient > least || (quotient == least && candidate > token);
  }
};

// The greatest logit of a block of tokens.
float greatest_of(const Logits& logits, size_t block) {
  const size_t first = kNoiseBlock * block;
  const size_t n = std::min(kNoiseBlock, logits.all.size() - first);
  float max = -kInfinity;
  if (n == kNoiseBlock && !logits.maxima.empty()) {
    float zero = 0;
    for (size_t i = first / kMaximaBlock; i < (first + n) / kMaximaBlock; ++i) {
      max = std::max(max, logits.maxima[i]);
      zero += logits.maxima[i] - logits.maxima[i];
    }
    if (zero == 0) return max;  // else a logit is not finite: the maximum is unknown
  }
  for (size_t i = first; i < first + n; ++i) max = std::max(max, logits.all[i]);
  return max;
}

}  // namespace

Shortlist::Shortlist(double temperature) : inverse_temperature_(inverse(temperature)) {}

double Shortlist::scaled(float logit) const {
  return (double{logit} - double{max_}) * inverse_temperature_;
}

// Proportional to the probability; 1 for the most likely token.
double Shortlist::weight(float logit) const { return portable_exp(scaled(logit)); }

void Shortlist::take_all(const Logits& logits, float max) {
  max_ = max;
  logits_ = logits;
  n_excluded_ = 0;
  total_ = weighted_ = 0;
  for_each_weight(logits.all, max_, inverse_temperature_, [this](double w, double exponent) {
    total_ += w;
    weighted_ += w * exponent;
  });
  sort_best(kFirstSorted);
}

void Shortlist::grow() { sort_best(kGrowth * n_sorted_); }

// Fills a partial list with the best n candidates.
void Shortlist::sort_best(size_t n) {
  n_sorted_ = n;
  select_best(logits_, n_sorted_, best_);
  const bool is_complete = best_.size() < n_sorted_ || n_sorted_ >= logits_.all.size();
  best_.erase(best_.begin(), best_.begin() + static_cast<std::ptrdiff_t>(n_excluded_));
  accumulate();
  if (is_complete) complete();
}

void Shortlist::take_top_k(const Logits& logits, float max, int k) {
  max_ = max;
  select_best(logits, static_cast<size_t>(k), best_);
  accumulate();
  complete();
}

void Shortlist::take_min_p(const Logits& logits, float max, double min_p) {
  max_ = max;
  select_best(logits, logits.all.size(), best_, bound(min_p));
  accumulate();
  complete();
  keep_min_p(min_p);
}

// A logit below all that min_p keeps, by a little more than what may be lost to rounding.
float Shortlist::bound(double min_p) const {
  constexpr double kSlack = 1e-6;
  const double below = (kSlack - (1 + kSlack) * portable_log(min_p)) / inverse_temperature_;
  const double bound = double{max_} - kSlack * std::abs(double{max_}) - below;
  return bound < -kLargestFloat ? -kInfinity
                                : std::nextafter(static_cast<float>(bound), -kInfinity);
}

void Shortlist::keep_top_p(double share) {
  if (share == 1) return;
  while (is_partial() && cumulative_.back() < share * total_) grow();
  const auto crossing = std::lower_bound(cumulative_.begin(), cumulative_.end(), share * total_);
  keep_first(static_cast<size_t>(crossing - cumulative_.begin()) + 1);
}

void Shortlist::keep_min_p(double min_p) {
  if (min_p == 0) return;
  const auto rare = std::partition_point(
      best_.begin(), best_.end(), [&](const Candidate& c) { return weight(c.logit) >= min_p; });
  keep_first(static_cast<size_t>(rare - best_.begin()));
}

void Shortlist::keep_typical_p(double share) {
  if (share == 1) return;
  while (!find_typical(share)) grow();
  std::sort(typical_.begin(), typical_.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  for (size_t i = 0; i < typical_.size(); ++i) best_[i] = best_[typical_[i].second];
  best_.resize(typical_.size());
  accumulate();
  complete();
}

// Fills typical_ with the most typical candidates. False where a partial list is too short to tell.
bool Shortlist::find_typical(double share) {
  // The surprise of a candidate is log_total - scaled(logit), and the entropy is its mean.
  double weighted = weighted_;
  if (!is_partial()) {
    weighted = 0;
    for (const Candidate& c : best_) weighted += weight(c.logit) * scaled(c.logit);
  }
  const double mean_scaled = weighted / total_;
  const auto distance = [&](const Candidate& c) { return std::abs(mean_scaled - scaled(c.logit)); };
  typical_.clear();
  for (size_t i = 0; i < best_.size(); ++i) typical_.emplace_back(distance(best_[i]), i);
  std::sort(typical_.begin(), typical_.end());
  size_t count = 0;
  double sum = 0;
  while (count == 0 || (count < typical_.size() && sum < share * total_)) {
    sum += weight(best_[typical_[count++].second].logit);
  }
  typical_.resize(count);
  if (!is_partial()) return true;
  // What is not in the list is less probable than its last candidate. Where that one is below the
  // mean, everything that follows it is further from the mean.
  const bool has_both_sides = scaled(best_.back().logit) <= mean_scaled;
  return has_both_sides && sum >= share * total_ &&
         typical_.back() <= std::pair(distance(best_.back()), best_.size() - 1);
}

void Shortlist::exclude_top_choices(double threshold) {
  const double least = threshold * total_;
  const auto is_top = [&](const Candidate& c) {
    const double w = weight(c.logit);
    return w >= least && w > 0;
  };
  while (is_partial() && is_top(best_.back())) grow();
  const auto rare = std::partition_point(best_.begin(), best_.end(), is_top);
  if (rare - best_.begin() < 2) return;
  const auto n_removed = rare - best_.begin() - 1;
  const double removed = cumulative_[static_cast<size_t>(n_removed) - 1];
  best_.erase(best_.begin(), best_.begin() + n_removed);
  accumulate();
  if (is_partial()) {
    n_excluded_ = static_cast<size_t>(n_removed);
    total_ -= removed;
  } else {
    complete();
  }
}

int32_t Shortlist::draw(const Noise& noise) const {
  if (is_partial()) return draw_from(logits_, best_.front(), 0, noise);
  Race race;
  for (const Candidate& c : best_) {
    const double w = weight(c.logit);
    if (w > 0) race.enter(c.token, w, noise.least_beside(c.token), noise);
  }
  return race.token;
}

int32_t Shortlist::draw_from_all(const Logits& logits, float max, double min_p,
                                 const Noise& noise) {
  max_ = max;
  return draw_from(logits, {kInfinity, 0}, min_p, noise);
}

// Of the tokens that do not rank before `first` and that min_p keeps.
int32_t Shortlist::draw_from(const Logits& logits, const Candidate& first, double min_p,
                             const Noise& noise) const {
  const double smallest = std::max(min_p, kSmallestDouble);
  Race race;
  for (size_t i = 0; kNoiseBlock * i < logits.all.size(); ++i) {
    const double most = weight(greatest_of(logits, i));
    if (most < smallest) continue;
    const LeastNoise least = noise.least_of(i);
    if (least.noise / most > race.least) continue;
    const size_t end = std::min(kNoiseBlock * (i + 1), logits.all.size());
    for (size_t j = kNoiseBlock * i; j < end; ++j) {
      const Candidate c{logits.all[j], static_cast<int32_t>(j)};
      const double w = weight(c.logit);
      if (w >= smallest && !ranks_before(c, first)) race.enter(c.token, w, least, noise);
    }
  }
  return race.token;
}

void Shortlist::keep_first(size_t count) {
  best_.resize(count);
  cumulative_.resize(count);
  complete();
}

// best_ has all candidates.
void Shortlist::complete() {
  n_sorted_ = 0;
  total_ = cumulative_.back();
}

void Shortlist::accumulate() {
  cumulative_.resize(best_.size());
  double sum = 0;
  for (size_t i = 0; i < best_.size(); ++i) cumulative_[i] = sum += weight(best_[i].logit);
}

}  // namespace gpt2edge
