#include "generate/drafting/draft_schedule.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace gpt2edge {
namespace {

constexpr double kWeight = 0.15;    // of the newest value in its running mean, at least
constexpr int kMaxPause = 128;      // passes without drafts before the next attempt
constexpr int kPasses = 4;          // between two choices of n: choosing takes time, too
constexpr double kMostLost = 0.02;  // of the time of a text, on trials
constexpr double kWorthTrying = 1.1, kHopedFor = 0.95;  // the gain, where so many are accepted

double mean(double mean, double value, double weight) { return mean + weight * (value - mean); }

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
  if (const int best = best_number(accepted_); best > 0) {
    n_ = best;
    n_left_ = kPasses;
    pause_ = 2;
  } else if (n_ > 0) {
    n_ = 0;
    n_left_ = pause_;
    pause_ = std::min(4 * pause_, kMaxPause);
    includes_prefill_ = true;
  } else if (may_try()) {
    n_ = std::min(2, max_);
    n_left_ = 1;
  } else {
    n_left_ = pause_;
  }
}

// Numbers that were not measured yet are approached in small steps.
int DraftSchedule::best_number(double accepted) const {
  const int most = std::min(max_, 2 + pass_s_.rbegin()->first);
  int best = 0;
  for (int n = 1; n <= most; ++n) {
    if (tokens_per_s(n, accepted) > tokens_per_s(best, accepted)) best = n;
  }
  return best;
}

bool DraftSchedule::may_try() const {
  if (lost_s_ + trial_s_ > kMostLost * spent_s_) return false;
  const int n = best_number(kHopedFor);
  return tokens_per_s(n, kHopedFor) > kWorthTrying * tokens_per_s(0, kHopedFor);
}

void DraftSchedule::record_draft(int n, double seconds) {
  drafting_s_ = seconds;
  const double each = seconds / n;
  if (!includes_prefill_) draft_s_ = draft_s_ > 0 ? mean(draft_s_, each, kWeight) : each;
  includes_prefill_ = false;
}

void DraftSchedule::record_pass(int n_draft, int n_accepted, double seconds) {
  const auto [known, is_new] = pass_s_.try_emplace(n_draft, seconds);
  if (!is_new) known->second = mean(known->second, seconds, kWeight);
  for (int i = 0; i < std::min(n_accepted + 1, n_draft); ++i) record_acceptance(i < n_accepted);
  spent_s_ += drafting_s_ + seconds;
  if (n_draft > 0 && pass_s_.contains(0)) {
    trial_s_ = drafting_s_ + seconds - (n_accepted + 1) * pass_s_.at(0);
    lost_s_ = std::max(0.0, lost_s_ + trial_s_);
  }
  drafting_s_ = 0;
  if (n_draft > 0 && n_accepted == 0) n_left_ = 0;  // choose again
}

void DraftSchedule::record_acceptance(bool is_accepted) {
  ++n_seen_;
  accepted_ = mean(accepted_, is_accepted ? 1.0 : 0.0, std::max(kWeight, 1 / n_seen_));
}

double DraftSchedule::tokens_per_s(int n, double accepted) const {
  accepted = std::min(accepted, 0.999);
  // The first token that is rejected still gives one.
  const double tokens = (1 - std::pow(accepted, n + 1)) / (1 - accepted);
  return tokens / (pass_s(n) + n * draft_s());
}

double DraftSchedule::draft_s() const { return draft_s_ > 0 ? draft_s_ : cost_ * pass_s_.at(0); }

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
