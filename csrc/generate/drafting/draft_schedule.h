// How many draft tokens pay, from what drafts and passes took and how often drafts were accepted.
//
// Times change how fast a text comes, never what it says.
#pragma once

#include <map>

namespace gpt2edge {

class DraftSchedule {
 public:
  // At least `min` tokens at a time, whether they pay or not, and at most `max`.
  DraftSchedule(int min, int max) : min_(min), max_(max) {}

  // How many tokens to draft now.
  int n_draft();

  // So many draft tokens took so long to make.
  void record_draft(int n, double seconds);

  // A pass with so many draft tokens, of which the first were accepted, took so long.
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
  bool includes_prefill_ = true;  // the drafter may have much of the text to read first
  int pause_ = 2;                 // passes without drafts, where they do not pay
  int n_ = 0, n_left_ = 0;        // draft tokens for so many passes more
};

}  // namespace gpt2edge
