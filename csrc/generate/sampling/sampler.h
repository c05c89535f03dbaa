// Chooses the next token from the model's logits.
//
// The steps, in this order. Where several sources have a step, the order is Hugging Face's.
//
//   forced_first_token     the first token after the prompt; all other steps are skipped.
//                          transformers: forced_bos_token_id
//   logits_processor       a user's function. transformers, vLLM: logits_processors
//   logit_bias             OpenAI's API
//   repetition_penalty     Keskar et al. 2019; it counts the prompt too, as in transformers
//   frequency_penalty      OpenAI's API; these two count generated tokens only, as there and in
//   presence_penalty         vLLM. llama.cpp counts the prompt. penalty_last_n is llama.cpp's
//   dry_*                  p-e-w 2024, as llama.cpp defines it; it looks at the prompt too
//   no_repeat_ngram_size   Paulus et al. 2018, as transformers defines it, prompt included
//   min_tokens             bans end tokens (Text holds back stop strings). vLLM; transformers:
//                          min_new_tokens
//   suppress_tokens        transformers
//   begin_suppress_tokens  transformers; for the first token after the prompt
//   temperature            0: the most likely token is taken, and the steps below are skipped
//   top_k
//   top_p                  Holtzman et al. 2020, of what top_k left
//   min_p                  Nguyen et al. 2024, relative to the most likely
//   typical_p              Meister et al. 2022, of what is left
//   xtc_*                  p-e-w 2024, as llama.cpp defines it, of what is left; but there the
//                          temperature comes last
//   one draw               by the noise of each token at draw number draw_index(): noise.h
//
// The same options, seed and logits give the same tokens on every machine: random.h and
// portable_math.h replace the functions whose results differ between C and C++ libraries. Whether
// XTC acts is decided by a random number of its own, so that the noise is the same with and without
// it. All state is a function of the accepted tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "formats/tokenizer_tables.h"
#include "generate/sampling/candidates.h"
#include "generate/sampling/dry.h"
#include "generate/sampling/penalties.h"
#include "generate/sampling/sampler_options.h"
#include "generate/sampling/shortlist.h"

namespace gpt2edge {

class Sampler {
 public:
  // The vocabulary is for dry_sequence_breakers, and may be null where there are none or DRY is
  // off. Throws std::invalid_argument naming the option, its value and its range.
  explicit Sampler(SamplerOptions options,
                   std::shared_ptr<const TokenizerTables> vocabulary = nullptr);

  // The next token, for logits of shape (n_vocab). Uses draw number draw_index() and advances it by
  // one, also when greedy. Does not accept() the token. Allocates only when n_vocab grows, or for
  // DRY when the text does. Equal logits go to the lower id. Throws std::invalid_argument when
  // every token is banned, an option or an accepted token is not in the vocabulary, or the
  // logits_processor gives a NaN or +infinity; FormatError for those in the logits; and what
  // the logits_processor throws. Then nothing has changed.
  int32_t sample(const Logits& logits);

  // Adds a token to the text: first those of the prompt, then those that were generated.
  void accept_prompt(int32_t token);
  void accept(int32_t token);

  // Forgets the accepted tokens and goes back to draw 0.
  void reset();

  // The number of the next draw: set it to make a resumed session continue its random numbers. A
  // copy of a sampler is a fork: it draws the same numbers from here on.
  uint64_t draw_index() const { return draw_index_; }
  void set_draw_index(uint64_t index) { draw_index_ = index; }

  // A fork that drafts what this one will draw, without the logits_processor: that is called once
  // for each token of a text, in their order, and never for a draft.
  Sampler for_drafts() const;

  const SamplerOptions& options() const { return options_; }

 private:
  bool is_first() const { return n_generated_ == 0; }
  bool is_greedy() const { return options_.temperature == 0 || options_.top_k == 1; }
  bool keeps_text() const;
  void record(int32_t token, bool is_generated);
  int32_t choose(const Logits& logits);
  bool changes_logits() const;
  Logits adjust(const Logits& logits);
  void process();
  void add_bias(const LogitRow& row) const;
  void ban_tokens(const LogitRow& row) const;
  int32_t draw(const Logits& logits, float max);
  bool excludes_top_choices() const;
  void truncate(const Logits& logits, float max, bool excludes);

  SamplerOptions options_;
  uint64_t draw_index_ = 0;

  int64_t n_generated_ = 0;
  std::vector<int32_t> text_;  // the accepted tokens, where a step looks back at them
  Penalties penalties_;
  Dry dry_;

  // Reused by every call.
  std::vector<float> adjusted_;  // the logits that the steps before temperature leave
  Shortlist shortlist_;
};

}  // namespace gpt2edge
