#include "generate/sequence.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace gpt2edge {

int checked_n_ctx(int n_ctx, const Config& config) {
  if (n_ctx < 1 || n_ctx > config.n_ctx) {
    throw std::invalid_argument(message("n_ctx is ", n_ctx, "; this model has positions for 1 to ",
                                        config.n_ctx, " tokens"));
  }
  return n_ctx;
}

class Sequence::Use {
 public:
  explicit Use(std::atomic<int>& flag) : flag_(flag) {
    if (flag_.exchange(1) != 0) {
      throw std::runtime_error(
          "this session is in use by another thread: make one session a thread");
    }
  }
  ~Use() { flag_.store(0); }

 private:
  std::atomic<int>& flag_;
};

Sequence::Sequence(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type)
    : model_(std::move(model)),
      cache_(model_->config(), checked_n_ctx(n_ctx, model_->config()), cache_type,
             model_->page_pool(cache_type)) {}

Sequence::Sequence(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type,
                   std::shared_ptr<PageRing> ring)
    : model_(std::move(model)),
      cache_(model_->config(), checked_n_ctx(n_ctx, model_->config()), cache_type, std::move(ring),
             0) {}

void Sequence::check(std::span<const int32_t> tokens) const {
  const size_t room = static_cast<size_t>(n_ctx() - length());
  if (tokens.size() > room) {
    throw ContextLengthError(message(
        tokens.size() + tokens_.size(), " tokens do not fit a context of ", n_ctx(), ": ",
        tokens.size() - room, " too many. Shorten the text",
        n_ctx() < model_->config().n_ctx
            ? message(", or raise n_ctx (up to ", model_->config().n_ctx, " for this model)")
            : std::string()));
  }
  check_tokens(tokens);
}

void Sequence::check_tokens(std::span<const int32_t> tokens) const {
  gpt2edge::check_tokens(tokens, model_->config());
}

namespace {

// Rows of logits that a part leaves with its sequence.
size_t kept_rows(const Sequence::Part& part) {
  const size_t wanted = part.all_logits != nullptr ? 1 : static_cast<size_t>(part.n_logits);
  return std::min(wanted, part.tokens.size());
}

void check_predicts(const Model& model) {
  if (model.has_language_model()) return;
  throw UnsupportedError(message(
      model.path(),
      ": was fine-tuned to classify and has no head that predicts tokens: classify and "
      "embed are what it can do. To have text of its other layers all the same, convert the "
      "checkpoint with --no-classifier"));
}

}  // namespace

// Room in the cache for the part's tokens, and a row for each.
void Sequence::add_rows(const Part& part, std::vector<Row>& rows) {
  const auto n_vocab = static_cast<size_t>(model_->config().n_vocab);
  const size_t n_maxima = maxima_count(model_->config().n_vocab);
  const int first = length();
  const size_t n = part.tokens.size(), n_kept = kept_rows(part);
  cache_.make_room(first, first + static_cast<int>(n));
  logits_from_ = kNoLogits;
  logits_.resize(n_vocab * n_kept);
  maxima_.resize(part.all_logits == nullptr ? n_maxima * n_kept : 0);
  tokens_.reserve(tokens_.size() + n);
  for (size_t i = 0; i < n; ++i) {
    Row row{part.tokens[i], first + static_cast<int>(i), &cache_, nullptr};
    if (part.all_logits != nullptr) {
      row.logits = part.all_logits + n_vocab * i;
    } else if (i + n_kept >= n) {
      const size_t at = i + n_kept - n;
      row.logits = logits_.data() + n_vocab * at;
      row.maxima = maxima_.data() + n_maxima * at;
    }
    row.weights = part.weights;
    rows.push_back(row);
  }
}

void Sequence::accept(const Part& part) {
  if (part.all_logits != nullptr) {
    const float* last = part.all_logits + logits_.size() * (part.tokens.size() - 1);
    std::copy_n(last, logits_.size(), logits_.begin());
  }
  tokens_.insert(tokens_.end(), part.tokens.begin(), part.tokens.end());
  logits_from_ = length() - static_cast<int>(kept_rows(part)) + 1;
}

void Sequence::append(std::span<const Part> parts, const Interrupt& interrupt) {
  std::vector<std::unique_ptr<Use>> uses;
  for (const Part& part : parts) {
    if (part.sequence->model_ != parts.front().sequence->model_) {
      throw std::invalid_argument("the sessions are of different models: one pass is of one model");
    }
    for (const Part& other : parts) {
      if (&other == &part) break;
      if (other.sequence == part.sequence) {
        throw std::invalid_argument("a session comes twice: give all its tokens together");
      }
    }
    uses.push_back(std::make_unique<Use>(part.sequence->in_use_));
    part.sequence->check(part.tokens);
    if (part.n_logits != 0 || part.all_logits != nullptr) check_predicts(*part.sequence->model_);
    if (part.n_logits < 0) {
      throw std::invalid_argument(message("n_logits is ", part.n_logits, "; give 0 or more"));
    }
    const auto n_positions = static_cast<size_t>(part.sequence->length()) + part.tokens.size();
    if (part.weights != nullptr && part.weights->n_positions != static_cast<int>(n_positions)) {
      throw std::runtime_error(
          "another thread has changed this session: make one session a thread");
    }
  }
  std::vector<Row> rows;
  for (const Part& part : parts) {
    if (!part.tokens.empty()) part.sequence->add_rows(part, rows);
  }
  if (rows.empty()) return;
  parts.front().sequence->model_->forward(rows, interrupt);
  for (const Part& part : parts) {
    if (!part.tokens.empty()) part.sequence->accept(part);
  }
}

void Sequence::truncate(int n) {
  const Use use(in_use_);
  if (n < 0 || n > length()) {
    throw std::invalid_argument(message("cannot truncate to ", n, " tokens: there are ", length()));
  }
  tokens_.resize(static_cast<size_t>(n));
  cache_.truncate(n);
  if (n > 0) return;
  logits_from_ = kNoLogits;
  std::vector<float>().swap(logits_);
  std::vector<float>().swap(maxima_);
}

void Sequence::restore(std::span<const int32_t> tokens, std::span<const std::byte> pages,
                       int code_bias) {
  const Use use(in_use_);
  if (length() > 0) throw std::invalid_argument("only an empty session can be restored");
  check(tokens);
  const int n = static_cast<int>(tokens.size());
  const auto n_pages = static_cast<size_t>(KvCache::page_count(n));
  if (pages.size() != n_pages * cache_.page_bytes()) {
    throw std::invalid_argument(message(n, " tokens have ", n_pages * cache_.page_bytes(),
                                        " bytes of keys and values; there are ", pages.size()));
  }
  cache_.truncate(0);  // an interrupted pass may have left more pages
  cache_.make_room(0, n);
  tokens_.assign(tokens.begin(), tokens.end());
  cache_.write(pages, code_bias != model_->kernels().code_bias);
}

std::unique_ptr<Sequence> Sequence::fork() {
  const Use use(in_use_);
  std::unique_ptr<Sequence> other(new Sequence(model_, cache_.fork()));
  other->tokens_ = tokens_;
  other->logits_ = logits_;
  other->maxima_ = maxima_;
  other->logits_from_ = logits_from_;
  return other;
}

std::unique_ptr<Sequence> Sequence::next_in_ring(int n) {
  const Use use(in_use_);
  std::unique_ptr<Sequence> next(new Sequence(model_, cache_.next_run()));
  next->cache_.share(cache_, n);
  next->tokens_.assign(tokens_.begin(), tokens_.begin() + n);
  return next;
}

void Sequence::take_logits_memory(Sequence& other) {
  const Use use(in_use_), other_use(other.in_use_);
  logits_.swap(other.logits_);
  maxima_.swap(other.maxima_);
  logits_from_ = other.logits_from_ = kNoLogits;
}

void Sequence::share(Sequence& other) {
  const Use use(in_use_), other_use(other.in_use_);
  const bool fits = length() == 0 && model_ == other.model_ && n_ctx() == other.n_ctx() &&
                    cache_.type() == other.cache_.type();
  if (!fits) {
    throw std::invalid_argument(
        "only an empty session can begin with the tokens of another, of the same model, n_ctx and "
        "kv_type");
  }
  cache_.truncate(0);  // an interrupted pass may have left pages
  cache_.share(other.cache_, other.length());
  tokens_ = other.tokens_;
}

size_t Sequence::cache_bytes() const {
  return static_cast<size_t>(KvCache::bytes_needed(model_->config(), n_ctx(), cache_.type()));
}

Logits Sequence::logits_after(int n) const {
  if (n < logits_from_ || n > length()) {
    throw std::invalid_argument(n == length()
                                    ? "there are no logits yet: append at least one token first"
                                    : message("there are no logits after ", n, " of ", length(),
                                              " tokens: append them with enough n_logits first"));
  }
  const auto n_vocab = static_cast<size_t>(model_->config().n_vocab);
  const size_t n_maxima = maxima_count(model_->config().n_vocab);
  const auto row = static_cast<size_t>(n - logits_from_);
  const std::span<const float> maxima(maxima_);
  return {std::span<const float>(logits_).subspan(n_vocab * row, n_vocab),
          maxima.empty() ? maxima : maxima.subspan(n_maxima * row, n_maxima)};
}

}  // namespace gpt2edge
