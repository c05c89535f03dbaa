// The candidates of a draw, best first: filled once, truncated, drawn from.
//
// Of a whole vocabulary only the best candidates are sorted, and more of them when a truncation
// needs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "generate/sampling/candidates.h"
#include "generate/sampling/noise.h"

namespace gpt2edge {

class Shortlist {
 public:
  explicit Shortlist(double temperature);

  // All tokens. `logits` must stay valid until the draw.
  void take_all(const Logits& logits, float max);
  // The k most likely tokens.
  void take_top_k(const Logits& logits, float max, int k);
  // The tokens at least `min_p` times as probable as the most likely one, min_p > 0.
  void take_min_p(const Logits& logits, float max, double min_p);

  // Keeps the fewest most likely candidates that hold a share of the probability, the one that
  // crosses it included.
  // Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020.
  void keep_top_p(double share);
  // Keeps those at least `min_p` times as probable as the most likely one.
  // Source: Nguyen et al., "Turning Up the Heat: Min-p Sampling", 2024 (arXiv 2407.01082).
  void keep_min_p(double min_p);
  // Keeps the fewest that hold a share of the probability, those first whose surprise (the negative
  // log-probability) is closest to the entropy.
  // Source: Meister et al., "Locally Typical Sampling", TACL 2023 (arXiv 2202.00666, 2022).
  void keep_typical_p(double share);
  // Removes all candidates of at least this probability but the least probable of them.
  // Source: p-e-w's XTC ("exclude top choices") for text-generation-webui, 2024, as llama.cpp has
  // it.
  void exclude_top_choices(double threshold);

  // The candidate of the least noise / weight, the lowest id of several.
  int32_t draw(const Noise& noise) const;

  // The same for all tokens that min_p keeps, without sorting.
  int32_t draw_from_all(const Logits& logits, float max, double min_p, const Noise& noise);

 private:
  double scaled(float logit) const;
  double weight(float logit) const;
  float bound(double min_p) const;
  bool is_partial() const { return n_sorted_ > 0; }
  void grow();
  void sort_best(size_t n);
  bool find_typical(double share);
  void keep_first(size_t count);
  void complete();
  void accumulate();
  int32_t draw_from(const Logits& logits, const Candidate& first, double min_p,
                    const Noise& noise) const;

  double inverse_temperature_;
  float max_ = 0;
  std::vector<Candidate> best_;
  std::vector<double> cumulative_;  // running sums of the weights of best_
  double total_ = 0;                // weight of all candidates, also of those not in best_ yet
  std::vector<std::pair<double, size_t>> typical_;  // (distance from the entropy, index in best_)

  // Of a partial list, which take_all makes:
  Logits logits_{};
  size_t n_sorted_ = 0;    // candidates sorted so far; 0: best_ is complete
  size_t n_excluded_ = 0;  // the best of them that were removed again
  double weighted_ = 0;    // the sum of weight * scaled logit over all tokens
};

}  // namespace gpt2edge
