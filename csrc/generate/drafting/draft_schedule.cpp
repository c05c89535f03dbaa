#include "generate/drafting/draft_schedule.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace gpt2edge {
namespace {

constexpr double kWeight = 0.15;  // of the newest value in its running mean
constexpr int kMaxPause = 128;    // passes without drafts before the next attempt
constexpr int kPasses = 4;        // between two choices of n: choosing takes time, too

}  // namespace

int DraftSchedule::n_draft() {
  if (n_left_ == 0) choose();
  --n_left_;
  return std::max(n_, min_);
}

void DraftSchedule::choose() {
  if (!pass_s_.contains(0)) {
    n_ = 0;
    n_left_ = 1;  // first measure a pass without draft tokens
    return;
  }
  // Numbers that were not measured yet are approached in small steps.
  const int most = std::min(max_, 2 + pass_s_.rbegin()->first);
  int best = 0;
  for (int n = 1; n <= most; ++n) {
    if (tokens_per_s(n) > tokens_per_s(best)) best = n;
  }
  if (best > 0) {
    n_ = best;
    n_left_ = kPasses;
    pause_ = 2;
  } else if (n_ > 0) {
    n_ = 0;
    n_left_ = pause_;
    pause_ = std::min(4 * pause_, kMaxPause);
    includes_prefill_ = true;
  } else {
    n_ = std::min(2, max_);
    n_left_ = 1;
  }
}

void DraftSchedule::record_draft(int n, double seconds) {
  const double each = seconds / n;
  if (!includes_prefill_) draft_s_ = mean(draft_s_ > 0 ? draft_s_ : each, each);
  includes_prefill_ = false;
}

void DraftSchedule::record_pass(int n_draft, int n_accepted, double seconds) {
  const auto [known, is_new] = pass_s_.try_emplace(n_draft, seconds);
  if (!is_new) known->second = mean(known->second, seconds);
  for (int i = 0; i < std::min(n_accepted + 1, n_draft); ++i) {
    accepted_ = mean(accepted_, i < n_accepted ? 1.0 : 0.0);
  }
  if (n_draft > 0 && n_accepted == 0) n_left_ = 0;  // choose again
}

double DraftSchedule::mean(double mean, double value) { return mean + kWeight * (value - mean); }

double DraftSchedule::tokens_per_s(int n) const {
  const double accepted = std::min(accepted_, 0.999);
  // The first token that is rejected still gives one.
  const double tokens = (1 - std::pow(accepted, n + 1)) / (1 - accepted);
  return tokens / (pass_s(n) + n * draft_s_);
}

// Seconds of a pass with n draft tokens: as measured, or interpolated.
double DraftSchedule::pass_s(int n) const {
  const auto above = pass_s_.lower_bound(n);
  if (above != pass_s_.end() && above->first == n) return above->second;
  const auto below = std::prev(above);
  const int more = n - below->first;
  if (above != pass_s_.end()) {
    const double slope = (above->second - below->second) / (above->first - below->first);
    return below->second + more * slope;
  }
  // Extrapolated by an optimistic tenth of a pass for each row, so that it is tried and measured.
  return below->second + more * 0.1 * pass_s_.at(0);
}

}  // namespace gpt2edge
