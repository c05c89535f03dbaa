#include "generate/sequence.h"

#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace gpt2edge {
namespace {

int checked_n_ctx(int n_ctx, const Config& config) {
  if (n_ctx < 1 || n_ctx > config.n_ctx) {
    throw std::invalid_argument(message("n_ctx is ", n_ctx, "; this model has positions for 1 to ",
                                        config.n_ctx, " tokens"));
  }
  return n_ctx;
}

}  // namespace

class Sequence::Use {
 public:
  explicit Use(std::atomic<bool>& flag) : flag_(flag) {
    if (flag_.exchange(true)) {
      throw std::runtime_error(
          "this session is in use by another thread: make one session a thread");
    }
  }
  ~Use() { flag_.store(false); }

 private:
  std::atomic<bool>& flag_;
};

Sequence::Sequence(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type)
    : model_(std::move(model)),
      cache_(model_->config(), checked_n_ctx(n_ctx, model_->config()), cache_type),
      logits_(static_cast<size_t>(model_->config().n_vocab)) {
  tokens_.reserve(static_cast<size_t>(n_ctx));
  rows_.reserve(static_cast<size_t>(n_ctx));
}

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
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= model_->config().n_vocab) {
      throw std::invalid_argument(message("token ", i, " is ", tokens[i],
                                          "; this model's vocabulary has the ids 0 to ",
                                          model_->config().n_vocab - 1));
    }
  }
}

void Sequence::append(std::span<const int32_t> tokens, float* all_logits,
                      const Interrupt& interrupt) {
  const Use use(in_use_);
  check(tokens);
  if (tokens.empty()) return;
  const auto n_vocab = static_cast<size_t>(model_->config().n_vocab);
  rows_.clear();
  for (size_t i = 0; i < tokens.size(); ++i) {
    float* logits = all_logits == nullptr ? nullptr : all_logits + n_vocab * i;
    rows_.push_back({tokens[i], length() + static_cast<int>(i), &cache_, logits});
  }
  maxima_.clear();
  if (all_logits == nullptr) {
    maxima_.resize(maxima_count(model_->config().n_vocab));
    rows_.back().logits = logits_.data();
    rows_.back().maxima = maxima_.data();
  }
  has_logits_ = false;
  model_->forward(rows_, interrupt);
  if (all_logits != nullptr) {
    const float* last = rows_.back().logits;
    logits_.assign(last, last + n_vocab);
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  has_logits_ = true;
}

void Sequence::truncate(int n) {
  const Use use(in_use_);
  if (n < 0 || n > length()) {
    throw std::invalid_argument(message("cannot truncate to ", n, " tokens: there are ", length()));
  }
  has_logits_ = has_logits_ && n == length();
  tokens_.resize(static_cast<size_t>(n));
}

Logits Sequence::logits() const {
  if (!has_logits_) {
    throw std::invalid_argument("there are no logits yet: append at least one token first");
  }
  return {logits_, maxima_};
}

}  // namespace gpt2edge
