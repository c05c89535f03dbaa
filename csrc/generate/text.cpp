#include "generate/text.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace gpt2edge {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<int32_t> checked_prompt(std::vector<int32_t> prompt) {
  if (prompt.empty()) {
    throw std::invalid_argument("the prompt has no token; give one or more to start from");
  }
  return prompt;
}

TextOptions checked(TextOptions options) {
  if (options.max_tokens && *options.max_tokens < 0) {
    throw std::invalid_argument(message("max_tokens is ", *options.max_tokens,
                                        "; give 0 or more, or None to fill the context"));
  }
  if (options.logprobs < 0) {
    throw std::invalid_argument(message("logprobs is ", options.logprobs, "; give 0 or more"));
  }
  if (options.max_time && !(*options.max_time >= 0)) {
    throw std::invalid_argument(
        message("max_time is ", *options.max_time, "; give 0 or more seconds, or None for any"));
  }
  return options;
}

// At most a century, which the clock's type can hold.
std::optional<Clock::time_point> deadline(const std::optional<double>& max_time) {
  if (!max_time) return std::nullopt;
  const std::chrono::duration<double> time(std::min(*max_time, 100.0 * 365 * 86400));
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
}

// With the tokens that end a text of this vocabulary.
SamplerOptions sampling(const TextOptions& options, const TokenizerTables& vocabulary) {
  SamplerOptions sampling = options.sampling;
  if (vocabulary.eos_token && !options.ignore_eos) {
    sampling.end_tokens.push_back(*vocabulary.eos_token);
  }
  return sampling;
}

}  // namespace

Text::Text(std::shared_ptr<Model> model, std::shared_ptr<const TokenizerTables> vocabulary,
           const ContextOptions& contexts, std::vector<int32_t> prompt, TextOptions options,
           std::unique_ptr<Speculation> speculation, std::unique_ptr<Constraint> constraint)
    : model_(std::move(model)),
      vocabulary_(std::move(vocabulary)),
      options_(checked(std::move(options))),
      sampler_(sampling(options_, *vocabulary_), vocabulary_),
      matcher_(options_.stop),
      window_(model_, contexts, options_.slide(prompt.size())),
      speculation_(std::move(speculation)),
      constraint_(std::move(constraint)),
      n_repeated_(constraint_ == nullptr ? 0 : constraint_->n_repeated()),
      text_(checked_prompt(std::move(prompt))),
      n_prompt_(text_.size()) {
  options_.keep = options_.slide(n_prompt_).keep;  // for a text that is saved
  if (constraint_ != nullptr) {
    allowed_.emplace(*constraint_, vocabulary_->eos_token, options_.ignore_eos);
  }
  deadline_ = deadline(options_.max_time);
  for (const int32_t token : text_) sampler_.accept_prompt(token);
}

// The lock of every call that changes the text or tells whether it has ended. A cancel that came
// meanwhile takes effect here.
std::unique_lock<WorkMutex> Text::lock() {
  std::unique_lock lock(mutex_);
  if (is_cancelled_ && !is_over()) finish(FinishReason::kCancelled);
  return lock;
}

std::optional<Piece> Text::next(const Interrupt& interrupt) {
  const auto locked = lock();
  while (pieces_.empty()) {
    if (error_ != nullptr) std::rethrow_exception(error_);
    if (is_over()) return std::nullopt;
    step_alone(interrupt);
  }
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

void Text::run(const Interrupt& interrupt) {
  for (bool is_done = false; !is_done;) {
    const auto locked = lock();  // for one step: other threads can read the text between steps
    if (!is_over()) step_alone(interrupt);
    pieces_.clear();
    is_done = is_over();
  }
  check_error();
}

void Text::step_alone(const Interrupt& interrupt) {
  if (ends_early()) return;
  start_constraint();
  if (is_over()) return;
  struct EndsEarly {};
  const auto start = Clock::now();
  std::vector<Sequence::Part> parts;
  plan(n_pending(), parts);
  try {
    Sequence::append(parts, [&] {
      if (interrupt) interrupt();
      if (early_end() != FinishReason::kNone) throw EndsEarly();
    });
  } catch (const EndsEarly&) {
    ends_early();
    return;
  }
  commit(seconds_since(start));
  draft_next(interrupt);
}

// The reason to end the text before its next token, or kNone.
FinishReason Text::early_end() const {
  if (is_cancelled_) return FinishReason::kCancelled;
  const bool is_late = deadline_ && Clock::now() >= *deadline_;
  return is_late ? FinishReason::kTimeout : FinishReason::kNone;
}

bool Text::ends_early() {
  const FinishReason reason = early_end();
  if (reason != FinishReason::kNone) finish(reason);
  return reason != FinishReason::kNone;
}

// The next n_tokens of the pending ones are to be computed.
void Text::plan(size_t n_tokens, std::vector<Sequence::Part>& parts) {
  const size_t end = static_cast<size_t>(window_.length()) + n_tokens;
  const int n_logits = end == text_.size() ? 1 + static_cast<int>(n_draft_) : 0;
  window_.plan(std::span(text_).first(end), n_logits, parts);
  if (n_logits > 0) begin_masks(std::span(text_).last(n_draft_));
}

// They are computed, in a pass of so many seconds.
void Text::commit(double seconds) {
  const int64_t before = window_.length();
  const bool was_reading = is_reading();
  window_.commit();
  pass_s_ += seconds;
  if (was_reading) timings_.prefill_tokens += window_.length() - before;
  if (n_pending() > 0) return;
  if (!was_reading) {
    timings_.decode_tokens += window_.length() - before - static_cast<int64_t>(n_draft_);
    ++timings_.decode_passes;
    timings_.decode_s += pass_s_ + sampling_s_;
  } else {
    timings_.prefill_s += pass_s_;
  }
  advance();
  pass_s_ = 0;
}

int64_t Text::n_generated() const {
  return static_cast<int64_t>(text_.size() - n_prompt_ - n_draft_);
}

// A resumed text may have more than max_tokens.
bool Text::has_all_tokens() const {
  return options_.max_tokens && n_generated() >= *options_.max_tokens;
}

// With the logits after the text and after each draft token: samples the next token, and one more
// for each draft token that is accepted.
void Text::advance() {
  const auto start = Clock::now();
  const auto n_draft = static_cast<int>(n_draft_);
  // No vector: what fails for want of memory from here on would leave the text half changed.
  std::array<int32_t, kMaxDraft> drafted{};
  std::copy(text_.end() - n_draft, text_.end(), drafted.begin());
  text_.resize(text_.size() - n_draft_);
  n_draft_ = 0;
  drop_rejected(n_draft, sample_tokens(std::span(drafted).first(static_cast<size_t>(n_draft))));
  sampling_s_ = seconds_since(start);
}

// Returns the number of accepted draft tokens. The last token of a text is none of them: it is to
// be computed with what comes, should the text go on.
int Text::sample_tokens(std::span<const int32_t> drafted) {
  const auto n_before = static_cast<std::ptrdiff_t>(text_.size());
  std::ptrdiff_t n_accepted = 0;
  attempt([&] {
    for (bool goes_on = !is_over(); goes_on;) {
      sample_token(static_cast<size_t>(n_accepted));
      const auto n_added = static_cast<std::ptrdiff_t>(text_.size()) - n_before;
      const auto n_most = is_over() && n_added > n_accepted ? n_added - 1 : n_added;
      const auto added = text_.begin() + n_before;
      n_accepted =
          std::mismatch(added, added + n_most, drafted.begin(), drafted.end()).first - added;
      goes_on = !is_over() && n_accepted == n_added;
    }
  });
  return static_cast<int>(n_accepted);
}

// Samples a token from the logits after the text, of which the last n_accepted tokens were drafted.
void Text::sample_token(size_t n_accepted) {
  if (has_all_tokens()) return finish(FinishReason::kLength);
  Logits logits = window_.logits_after(static_cast<int64_t>(text_.size()));
  if (allowed_ && !allowed_->leave(logits, n_accepted)) return finish(FinishReason::kStop);
  const int32_t token = sampler_.sample(logits);
  std::optional<TopLogprobs> logprob;
  if (options_.logprobs > 0) logprob = log_softmax_top(logits.all, token, options_.logprobs);
  if (token == vocabulary_->eos_token && !options_.ignore_eos) {
    end_logprob_ = std::move(logprob);
    return finish(FinishReason::kStop);
  }
  if (constraint_ == nullptr) return add_token(token, std::move(logprob), false);
  const Constraint::Forced forced = constraint_->accept(token);
  const bool is_last = forced.is_complete && forced.tokens.empty();
  if (!repeats_prompt(token)) add_token(token, std::move(logprob), is_last);
  add_forced(forced);
}

// Nothing may follow the last token of a text that a constraint has completed.
void Text::add_token(int32_t token, std::optional<TopLogprobs> logprob, bool is_last) {
  text_.push_back(token);
  add_piece(token, std::move(logprob));
  if (matcher_.stopped()) {
    finish_reason_ = FinishReason::kStop;
    return;
  }
  if (is_last) return finish(FinishReason::kStop);
  if (has_all_tokens()) return finish(FinishReason::kLength);
  if (!window_.has_room(static_cast<int64_t>(text_.size()) - window_.length())) {
    if (options_.context_overflow == Overflow::kError) {
      throw ContextLengthError(message("the context of ", window_.n_ctx(),
                                       " tokens is full: shorten the prompt, lower max_tokens, or "
                                       "let it slide (context_overflow=\"slide\")"));
    }
    return finish(FinishReason::kLength);
  }
  sampler_.accept(token);
}

// Rolls back the draft tokens after the first n_accepted.
void Text::drop_rejected(int n_draft, int n_accepted) {
  window_.rollback(n_draft - n_accepted);
  timings_.decode_tokens += n_accepted;
  timings_.draft_tokens += n_draft;
  timings_.accepted_tokens += n_accepted;
  if (speculation_ != nullptr && timings_.decode_passes > 0) {
    speculation_->record_pass(n_draft, n_accepted, pass_s_);
  }
}

// Drafts the tokens after the last one, before which a constraint may have forced some.
void Text::draft_next(const Interrupt& interrupt) {
  const auto n_certain = static_cast<int64_t>(n_pending());
  const bool is_ready = n_draft_ == 0 && n_certain > 0 && n_certain <= kMaxDraft && !is_reading();
  if (speculation_ == nullptr || is_over() || !is_ready) return;
  const auto start = Clock::now();
  int64_t limit = std::min(window_.max_rollback(n_certain), kMaxDraft + 1 - n_certain);
  if (options_.max_tokens) limit = std::min(limit, *options_.max_tokens - n_generated() - 1);
  std::vector<int32_t> drafted =
      speculation_->draft(text_, limit, sampler_, allowed_ ? &*allowed_ : nullptr, interrupt);
  drop_disallowed(drafted);
  text_.insert(text_.end(), drafted.begin(), drafted.end());
  n_draft_ = drafted.size();
  sampling_s_ += seconds_since(start);
}

void Text::finish(FinishReason reason) {
  std::string rest = matcher_.finish();
  bytes_ += rest;
  finish_reason_ = matcher_.stopped() ? FinishReason::kStop : reason;
  if (!rest.empty()) pieces_.push_back({std::move(rest), std::nullopt, std::nullopt});
}

void Text::add_piece(int32_t token, std::optional<TopLogprobs> logprob) {
  const bool can_stop = n_generated() > options_.sampling.min_tokens;
  const size_t n_repeated = std::exchange(n_repeated_, 0);
  n_shared_ += n_repeated;
  std::string bytes = matcher_.push(token_bytes(*vocabulary_, token).substr(n_repeated), can_stop);
  bytes_ += bytes;
  if (logprob) logprobs_.push_back(*logprob);
  pieces_.push_back({std::move(bytes), token, std::move(logprob)});
}

// Adds the tokens of a saved text.
void Text::replay(const SavedText& saved) {
  for (const int32_t token : saved.tokens) {
    text_.push_back(token);
    add_piece(token, std::nullopt);
    sampler_.accept(token);
  }
  pieces_.clear();
  logprobs_ = saved.logprobs;
  sampler_.set_draw_index(saved.draw_index);
}

std::vector<Piece> Text::pieces() {
  const auto locked = lock();
  std::vector<Piece> taken(std::make_move_iterator(pieces_.begin()),
                           std::make_move_iterator(pieces_.end()));
  pieces_.clear();
  return taken;
}

void Text::check_error() const {
  const std::lock_guard lock(mutex_);
  if (error_ != nullptr) std::rethrow_exception(error_);
}

void Text::check() const {
  const std::lock_guard lock(mutex_);
  window_.check(std::span(text_).subspan(static_cast<size_t>(window_.length())));
}

void Text::share(Sequence& known) {
  const std::lock_guard lock(mutex_);
  const std::vector<int32_t>& tokens = known.tokens();
  const bool is_beginning = window_.length() == 0 && tokens.size() < text_.size() &&
                            std::equal(tokens.begin(), tokens.end(), text_.begin());
  if (!is_beginning) {
    throw std::invalid_argument("the session is not the beginning of a text yet to be computed");
  }
  window_.share(known);
}

std::unique_ptr<Sequence> Text::prefix() {
  const auto locked = lock();
  if (!window_.is_whole()) return nullptr;
  int n = window_.context().length();
  if (!is_over()) n -= n % kernels::kPagePositions;
  if (n == 0) return nullptr;
  auto known = window_.context().fork();
  known->truncate(n);
  return known;
}

void Text::release() {
  const std::lock_guard lock(mutex_);
  window_.release();
}

bool Text::finished() {
  const auto locked = lock();
  return is_over();
}

bool Text::has_begun() const {
  const std::lock_guard lock(mutex_);
  return n_generated() > 0 && !is_reading();
}

TextState Text::state() {
  const auto locked = lock();
  const auto prompt_end = text_.begin() + static_cast<std::ptrdiff_t>(n_prompt_);
  return {bytes_,
          {text_.begin(), prompt_end},
          {prompt_end, text_.end() - static_cast<std::ptrdiff_t>(n_draft_)},
          logprobs_,
          n_shared_,
          end_logprob_,
          finish_reason_,
          matcher_.stop_string(),
          timings_};
}

int Text::max_pages() const {
  const std::lock_guard lock(mutex_);
  constexpr int64_t kEndless = INT64_MAX / 2;
  const auto n = static_cast<int64_t>(n_prompt_ + n_repeated_);  // a token has a byte or more
  const int64_t limit = options_.max_tokens.value_or(kEndless);
  return window_.max_pages(limit > kEndless - n ? kEndless : n + limit);
}

}  // namespace gpt2edge
