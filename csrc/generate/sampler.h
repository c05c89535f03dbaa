// Chooses the next token from the model's logits.
//
// The order is Hugging Face's: logit bias, repetition penalty, temperature, top-k, top-p, min-p,
// then one random draw. The same options, seed and logits give the same tokens on every machine:
// random.h and portable_math.h supply what the C and C++ libraries leave open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "generate/candidates.h"

namespace gpt2edge {

struct SamplerOptions {
  double temperature = 0.8;  // divides the logits; 0 always takes the most likely token
  int top_k = 40;            // keeps the k most likely, exactly k also when some are equal; 0: all
  double top_p = 1.0;        // keeps the fewest most likely that hold this share of probability
  double min_p = 0.0;        // keeps those at least this probable, relative to the most likely
  double repetition_penalty = 1.0;  // a seen token's logit is divided by it, or multiplied if < 0
  int repetition_window = 0;        // how many of the last tokens count as seen; 0: all
  std::vector<std::pair<int32_t, float>> logit_bias;  // (token, added to its logit); -inf bans it
  uint64_t seed = 0;
};

class Sampler {
 public:
  // Throws std::invalid_argument naming the option, its value and its range.
  explicit Sampler(SamplerOptions options);

  // The next token, for logits of shape (n_vocab). Uses draw number draw_index() and advances it by
  // one, also when greedy. Does not accept() the token. Allocates only when n_vocab grows. Equal
  // logits go to the lower id. Throws std::invalid_argument when every token is banned or a token
  // that was biased or accepted is not in the vocabulary, std::runtime_error for a NaN or
  // +infinity; then nothing has changed.
  int32_t sample(const Logits& logits);

  // Notes a token of the text, prompt included, for the repetition penalty.
  void accept(int32_t token);

  // Forgets the accepted tokens and goes back to draw 0.
  void reset();

  // The number of the next draw: set it to make a resumed session continue its random numbers. A
  // copy of a sampler is a fork: it draws the same numbers from here on.
  uint64_t draw_index() const { return draw_index_; }
  void set_draw_index(uint64_t index) { draw_index_ = index; }

  const SamplerOptions& options() const { return options_; }

 private:
  bool is_greedy() const { return options_.temperature == 0 || options_.top_k == 1; }
  Logits adjust(const Logits& logits);
  int32_t draw_from_all(std::span<const float> logits, float max, double uniform);
  int32_t draw_from_best(const Logits& logits, float max, double uniform);
  void keep_top_k(const Logits& logits, float max);
  void keep_nucleus(const Logits& logits, float max);
  void accumulate_best(float max);
  double weight(float logit, float max) const;

  SamplerOptions options_;
  double inverse_temperature_;
  uint64_t draw_index_ = 0;

  std::unordered_map<int32_t, int64_t> seen_;  // token -> how often it is in the window
  std::vector<int32_t> window_;                // ring of the last repetition_window tokens
  size_t window_next_ = 0;

  // Reused by every call.
  std::vector<float> adjusted_;     // logits after bias and penalty
  std::vector<Candidate> best_;     // best first
  std::vector<double> cumulative_;  // running sums of the weights of best_, or of all tokens
};

}  // namespace gpt2edge
