// Chooses the number of draft tokens for the highest expected speed, from the measured times of
// drafts and passes and from the acceptance rate.
//
// Times change the speed of a text, never its tokens.
#pragma once

#include <map>

namespace gpt2edge {

class DraftSchedule {
 public:
  // At least `min` tokens at a time, whether they pay or not, and at most `max`.
  DraftSchedule(int min, int max) : min_(min), max_(max) {}

  // How many tokens to draft now.
  int n_draft();

  // Records the time that n draft tokens took.
  void record_draft(int n, double seconds);

  // Records the time of a pass with n_draft draft tokens, of which the first n_accepted were
  // accepted.
  void record_pass(int n_draft, int n_accepted, double seconds);

 private:
  void choose();
  static double mean(double mean, double value);
  double tokens_per_s(int n) const;
  double pass_s(int n) const;

  int min_, max_;
  double accepted_ = 0.7;         // the probability of a token, given those before it are accepted
  std::map<int, double> pass_s_;  // seconds of a pass, by its number of draft tokens
  double draft_s_ = 0;            // seconds of a draft token
  bool includes_prefill_ = true;  // the next draft may include the prefill of the draft model
  int pause_ = 2;                 // passes without drafts, where they do not pay
  int n_ = 0, n_left_ = 0;        // draft tokens for so many passes more
};

}  // namespace gpt2edge
