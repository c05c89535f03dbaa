// Generation of one text: the loop from logits to tokens to text.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fork.h"
#include "formats/tokenizer_tables.h"
#include "generate/allowed_logits.h"
#include "generate/constraint.h"
#include "generate/drafting/speculation.h"
#include "generate/sampling/logprobs.h"
#include "generate/sampling/sampler.h"
#include "generate/saved_text.h"
#include "generate/stop_matcher.h"
#include "generate/text_options.h"
#include "generate/window.h"

namespace gpt2edge {

// One step of a text. The bytes are whole characters, as far as the model generates UTF-8. They may
// be empty: a possible beginning of a stop string or a part of a character is held back until the
// next token. The last piece of a text may have bytes without a token.
struct Piece {
  std::string bytes;
  std::optional<int32_t> token;
  std::optional<TopLogprobs> logprob;  // where they are asked for
};

enum class FinishReason : uint8_t {
  kNone,       // not finished
  kStop,       // an end-of-text token, a stop string, or a constraint that allows nothing more
  kLength,     // max_tokens, or the context is full
  kTimeout,    // max_time is over
  kCancelled,  // by cancel()
};

// Where the time went, in seconds, and how many tokens were computed.
struct TextTimings {
  int64_t prefill_tokens = 0, decode_tokens = 0;
  int64_t decode_passes = 0;  // fewer than decode_tokens where draft tokens were accepted
  int64_t draft_tokens = 0, accepted_tokens = 0;
  double prefill_s = 0, decode_s = 0;
};

// A text so far.
struct TextState {
  std::string bytes;
  std::vector<int32_t> prompt, tokens;
  std::vector<TopLogprobs> logprobs;       // of each token, where they are asked for
  size_t n_repeated = 0;                   // bytes of the first token that are the prompt's last
  std::optional<TopLogprobs> end_logprob;  // of the end-of-text token that has ended the text
  FinishReason finish_reason = FinishReason::kNone;
  std::optional<std::string> stop_string;
  TextTimings timings;
};

// Methods may be called from any thread; they lock the text. After a fork, those of a text that
// another thread was at work on throw UnsupportedError in the child.
class Text {
 public:
  // `vocabulary` is the model's; `speculation` and `constraint` may be null. Throws
  // std::invalid_argument for an option that is out of range and a prompt without tokens, and what
  // Window's constructor does.
  Text(std::shared_ptr<Model> model, std::shared_ptr<const TokenizerTables> vocabulary,
       const ContextOptions& contexts, std::vector<int32_t> prompt, TextOptions options,
       std::unique_ptr<Speculation> speculation = nullptr,
       std::unique_ptr<Constraint> constraint = nullptr);

  // The next piece, which is computed if need be; none when the text has ended. Throws
  // ContextLengthError where the text does not fit its context, or is to go on and the options make
  // a full context an error; std::invalid_argument for a token that is not in the vocabulary;
  // FormatError for weights that give no numbers; std::bad_alloc. After an interrupt the text is as
  // it was before; without memory too, or it has ended with that error.
  std::optional<Piece> next(const Interrupt& interrupt);

  // Goes on to the text's end. Throws what `next` does.
  void run(const Interrupt& interrupt);

  // Ends the text where it is, within the step that is under way. What is written already stays. It
  // does not wait for a thread that computes.
  void cancel() { is_cancelled_ = true; }

  // One step of several texts of one model, in one pass over its weights. Prompts are computed in
  // chunks of equal size, so that a short one does not wait for a long one. An error of one text
  // does not affect the others: `check_error` throws it. Throws errors of the pass; then all texts
  // are unchanged.
  static void step(std::span<Text* const> texts, const Interrupt& interrupt);

  // Takes the pieces that steps have left.
  std::vector<Piece> pieces();
  // Throws what has ended the text, if it was an error.
  void check_error() const;

  // The text and all that it takes to go on, as bytes (saved_text.h). Throws std::invalid_argument
  // for a finished text (but not at max_tokens), and one with a logits_processor.
  void save(const SavedText::Write& write) const;
  uint64_t saved_bytes() const;
  // Goes on with a text that was saved. `name` is for messages, usually a path. `max_tokens` is how
  // many to add to what is there; none leaves it to the saved options. Drafters are not saved.
  // `make_constraint` is for a text that has a constraint; without it such a text is an
  // UnsupportedError, and what it throws gets out.
  // Throws FormatError for bytes that are damaged or no text; UnsupportedError where it was saved
  // with another model, or contexts of another kind; and what the constructor does.
  static std::unique_ptr<Text> resume(const std::string& name, std::span<const std::byte> bytes,
                                      std::shared_ptr<Model> model,
                                      std::shared_ptr<const TokenizerTables> vocabulary,
                                      const ContextOptions& contexts,
                                      std::optional<int64_t> max_tokens,
                                      const SpeculationOptions& speculation,
                                      const MakeConstraint& make_constraint = {});

  // Throws what computing the prompt would, except for std::bad_alloc.
  void check() const;
  // Reuses the keys and values of a sequence of the prompt's first tokens.
  void share(Sequence& known);
  // A sequence of the tokens computed so far, from the first one on, in whole pages unless the text
  // has ended: it would have to copy a shared last page before writing to it. Null where the
  // context has slid, or nothing is computed.
  std::unique_ptr<Sequence> prefix();
  // Frees the keys and values of an ended text.
  void release();

  // Whether it has ended, in an error too.
  bool finished();
  // Whether the prompt is computed and there is a token after it.
  bool has_begun() const;
  TextState state();
  const TextOptions& options() const { return options_; }
  // Pages of keys and values that it will need at the most.
  int max_pages() const;

 private:
  // What is to be computed before the next token is chosen: from window_.length() on.
  size_t n_pending() const { return text_.size() - static_cast<size_t>(window_.length()); }
  int64_t n_generated() const;
  bool is_reading() const { return static_cast<size_t>(window_.length()) < n_prompt_; }
  bool has_all_tokens() const;
  std::unique_lock<WorkMutex> lock();
  bool is_over() const { return finish_reason_ != FinishReason::kNone || error_ != nullptr; }
  void plan(size_t n_tokens, std::vector<Sequence::Part>& parts);
  void commit(double seconds);
  void step_alone(const Interrupt& interrupt);
  FinishReason early_end() const;
  bool ends_early();
  void advance();
  int sample_tokens(std::span<const int32_t> drafted);
  void sample_token(size_t n_accepted);
  void add_token(int32_t token, std::optional<TopLogprobs> logprob, bool is_last);
  void drop_rejected(int n_draft, int n_accepted);
  void draft_next(const Interrupt& interrupt);
  void finish(FinishReason reason);
  // Calls what may fail in its own way; the text then ends with that error.
  template <typename Step>
  void attempt(Step step) {
    try {
      step();
    } catch (const std::exception&) {
      error_ = std::current_exception();
    }
  }
  void start_constraint();
  void drop_disallowed(std::vector<int32_t>& drafted);
  void begin_masks(std::span<const int32_t> draft);
  void add_forced(const Constraint::Forced& forced);
  bool repeats_prompt(int32_t token);
  void add_piece(int32_t token, std::optional<TopLogprobs> logprob);
  SavedText saved() const;
  void restore(const SavedText& saved);
  void replay(const SavedText& saved);

  mutable WorkMutex mutex_;
  std::atomic<bool> is_cancelled_{false};
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::shared_ptr<Model> model_;
  std::shared_ptr<const TokenizerTables> vocabulary_;
  TextOptions options_;
  Sampler sampler_;
  StopMatcher matcher_;
  Window window_;
  std::unique_ptr<Speculation> speculation_;
  std::unique_ptr<Constraint> constraint_;
  bool is_constraint_started_ = false;
  std::optional<AllowedLogits> allowed_;  // where there is a constraint
  size_t n_repeated_;                     // bytes of the prompt that the next tokens write again

  std::vector<int32_t> text_;  // the prompt, the tokens after it, and the draft of those to come
  size_t n_prompt_;            // grows by tokens that write the prompt's end again
  size_t n_draft_ = 0;
  size_t n_shared_ = 0;  // bytes of the first token after the prompt that are the prompt's last
  std::string bytes_;    // of the tokens after the prompt, as released
  std::vector<TopLogprobs> logprobs_;
  std::optional<TopLogprobs> end_logprob_;
  std::deque<Piece> pieces_;  // not taken yet
  FinishReason finish_reason_ = FinishReason::kNone;
  std::exception_ptr error_;
  TextTimings timings_;
  double pass_s_ = 0, sampling_s_ = 0;
};

}  // namespace gpt2edge
