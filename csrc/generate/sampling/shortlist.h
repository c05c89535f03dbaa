// The tokens that a draw may take, best first: filled once, made shorter, drawn from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "generate/sampling/candidates.h"

namespace gpt2edge {

class Shortlist {
 public:
  explicit Shortlist(double temperature);

  // The k most likely.
  void take_top_k(const Logits& logits, float max, int k);
  // The fewest most likely of all that hold a share of probability.
  // Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020.
  void take_top_p(const Logits& logits, float max, double share);
  // Those of all at least so probable, relative to the most likely.
  void take_min_p(const Logits& logits, float max, double min_p);

  // The same of those that are left. The token that crosses the share stays.
  void keep_top_p(double share);
  void keep_min_p(double min_p);
  // The fewest that hold a share of probability, of those first whose surprise is closest to the
  // expected one.
  // Source: Meister et al., "Locally Typical Sampling", TACL 2023 (arXiv 2202.00666, 2022).
  void keep_typical_p(double share);
  // Of those at least so probable, only the least probable.
  // Source: p-e-w's XTC ("exclude top choices") for text-generation-webui, 2024, as llama.cpp has
  // it.
  void exclude_top_choices(double threshold);

  // The token at a random number in [0, 1).
  int32_t draw(double uniform) const;

  // The same without a list, from all that min_p keeps, in the order of their ids.
  int32_t draw_from_all(const Logits& logits, float max, double min_p, double uniform);

 private:
  double scaled(float logit) const;
  double weight(float logit) const;
  float bound(double min_p) const;
  void keep_first(size_t count);
  void accumulate();

  double inverse_temperature_;
  float max_ = 0;
  std::vector<Candidate> best_;
  std::vector<double> cumulative_;  // running sums of the weights of best_, or of all tokens
  std::vector<std::pair<double, size_t>> typical_;  // (distance from the expected, place in best_)
};

}  // namespace gpt2edge
