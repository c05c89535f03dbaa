// Chooses the number of draft tokens for the highest expected speed, from the measured times of
// drafts and passes and from the acceptance rate. Where none pay, they are tried again from time to
// time, as long as all that such trials have cost is a small share of the text's time.
//
// Times change the speed of a text, never its tokens.
#pragma once

#include <map>

namespace gpt2edge {

class DraftSchedule {
 public:
  // At least `min` tokens at a time, whether they pay or not, and at most `max`. A draft token
  // takes `cost` times as long as a pass without any, until that is measured.
  DraftSchedule(int min, int max, double cost = 0) : min_(min), max_(max), cost_(cost) {}

  // How many tokens to draft now.
  int n_draft();

  // Records the time that n draft tokens took.
  void record_draft(int n, double seconds);

  // Records the time of a pass with n_draft draft tokens, of which the first n_accepted were
  // accepted.
  void record_pass(int n_draft, int n_accepted, double seconds);

 private:
  void choose();
  int best_number(double accepted) const;
  bool may_try() const;
  void record_acceptance(bool is_accepted);
  double tokens_per_s(int n, double accepted) const;
  double pass_s(int n) const;
  double draft_s() const;

  int min_, max_;
  double cost_;
  double accepted_ = 0.7;         // the probability of a token, given those before it are accepted
  double n_seen_ = 2;             // the draft tokens that this estimate stands for
  std::map<int, double> pass_s_;  // seconds of a pass, by its number of draft tokens
  double draft_s_ = 0;            // seconds of a draft token; 0: not measured
  double spent_s_ = 0;            // on the text so far
  double lost_s_ = 0;             // of them, on drafts that gave less than plain passes would have
  double trial_s_ = 0;            // what the last trial lost
  double drafting_s_ = 0;         // seconds of the draft whose pass is next
  bool includes_prefill_ = true;  // the next draft may include the prefill of the draft model
  int pause_ = 2;                 // passes without drafts, where they do not pay
  int n_ = 0, n_left_ = 0;        // draft tokens for so many passes more
};

}  // namespace gpt2edge
