#include "generate/window.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "base/available_memory.h"
#include "base/error.h"

namespace gpt2edge {
namespace {

int checked_discard(const SlideOptions& slide, int n_ctx) {
  const int half = std::max(1, (n_ctx - std::max(0, slide.keep) + 1) / 2);
  const int discard = slide.discard.value_or(half);
  const bool leaves_room = slide.keep >= 0 && discard >= 1 && slide.keep < n_ctx - discard;
  if (leaves_room) return discard;
  throw std::invalid_argument(message("keep is ", slide.keep, " and discard ", discard,
                                      "; give 0 or more and 1 or more, together less than the "
                                      "context of ",
                                      n_ctx, " tokens"));
}

void check_ring_fits(const PagePool& pool, int n_pages) {
  const uint64_t needs = static_cast<uint64_t>(n_pages) * pool.page_bytes();
  const uint64_t idle = static_cast<uint64_t>(pool.n_idle()) * pool.page_bytes();
  const uint64_t available = available_memory();
  if (needs <= idle || needs - idle <= available) return;
  throw MemoryError(message("a text that slides takes ", megabytes(needs),
                            " MB for its context and the beginning of the next, and ",
                            megabytes(available + idle),
                            " MB are available: load the model with kv_type=\"int8\" (--kv-type "
                            "int8) or a smaller n_ctx (-c), or discard more tokens at a time"));
}

}  // namespace

Window::Window(std::shared_ptr<Model> model, const ContextOptions& contexts,
               const SlideOptions& slide) {
  const int n_ctx = checked_n_ctx(contexts.positions(*model), model->config());
  if (!slide.slides) {
    active_ = std::make_unique<Sequence>(std::move(model), n_ctx, contexts.cache_type);
    return;
  }
  keep_ = slide.keep;
  discard_ = checked_discard(slide, n_ctx);
  const int n_pages = KvCache::page_count(n_ctx);
  const int n_next = KvCache::page_count(n_ctx - static_cast<int>(discard_));
  const int n_fixed = slide.keep / kernels::kPagePositions;
  const auto& pool = model->page_pool(contexts.cache_type);
  ring_ = std::make_shared<PageRing>(pool, n_fixed, n_pages - n_fixed + n_next - n_fixed);
  check_ring_fits(*pool, ring_->capacity());
  active_ = std::make_unique<Sequence>(std::move(model), n_ctx, contexts.cache_type, ring_);
}

// The context that is in use once the text has n tokens.
int64_t Window::index_for(int64_t n) const {
  if (n <= n_ctx()) return 0;
  return (n - n_ctx() + discard_ - 1) / discard_;
}

void Window::plan(std::span<const int32_t> text, int n_logits, std::vector<Sequence::Part>& parts) {
  const auto n = static_cast<int64_t>(text.size());
  planned_ = n;
  if (!slides()) {
    parts.push_back({active_.get(), text.subspan(static_cast<size_t>(length_)), n_logits});
    return;
  }
  // Contexts that the tokens only pass through are not computed.
  const int64_t index = index_for(n);
  if (index != index_) move_to(index);
  const bool begins = n > start(index + 1);
  // The kept tokens are computed once, and then shared.
  if (begins && next_ == nullptr && active_->length() >= keep_) next_ = make_next(*active_);
  add_part(*active_, index, text, n_logits, missing_[0], parts);
  if (begins && next_ != nullptr) add_part(*next_, index + 1, text, 0, missing_[1], parts);
}

// A full context is of no use any more, once the token after it is chosen: it is given up before
// the pass, so that the next one can have its pages.
void Window::move_to(int64_t index) {
  if (index == index_ + 1 && next_ != nullptr) {
    next_->take_logits_memory(*active_);
    active_ = std::move(next_);
  } else {
    next_ = nullptr;  // first: the context that begins now has its slots
    active_ = make_next(*active_);
  }
  index_ = index;
}

std::unique_ptr<Sequence> Window::make_next(Sequence& context) const {
  return context.next_in_ring(context.length() < keep_ ? 0 : static_cast<int>(keep_));
}

// What the context `index` has of a text in the end.
std::vector<int32_t> Window::view(int64_t index, std::span<const int32_t> text) const {
  const auto n_kept = std::min(text.size(), static_cast<size_t>(keep_));
  const auto from = std::min(text.size(), static_cast<size_t>(start(index)));
  std::vector<int32_t> tokens(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n_kept));
  tokens.insert(tokens.end(), text.begin() + static_cast<std::ptrdiff_t>(from), text.end());
  return tokens;
}

void Window::add_part(Sequence& context, int64_t index, std::span<const int32_t> text, int n_logits,
                      std::vector<int32_t>& tokens, std::vector<Sequence::Part>& parts) const {
  const auto has = static_cast<size_t>(context.length());
  const auto n_kept = static_cast<size_t>(keep_);
  if (has >= n_kept) {
    const auto missing = text.subspan(static_cast<size_t>(start(index)) + has - n_kept);
    tokens.assign(missing.begin(), missing.end());
  } else {
    tokens = view(index, text);
    tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(has));
  }
  if (!tokens.empty()) parts.push_back({&context, tokens, n_logits});
}

void Window::commit() { length_ = planned_; }

void Window::append(std::span<const int32_t> text, int n_logits, const Interrupt& interrupt) {
  std::vector<Sequence::Part> parts;
  plan(text, n_logits, parts);
  Sequence::append(parts, interrupt);
  commit();
}

void Window::check(std::span<const int32_t> tokens) const {
  if (slides()) {
    active_->check_tokens(tokens);
  } else {
    active_->check(tokens);
  }
}

int64_t Window::max_rollback(int64_t n) const {
  const int64_t after = length_ + n;
  if (!slides()) return n_ctx() - after;
  const int64_t index = index_for(after);
  const int64_t begins = start(index + 1);
  return (after <= begins ? begins : end(index)) - after;
}

void Window::rollback(int64_t n) {
  if (n == 0) return;
  for (Sequence* context : {active_.get(), next_.get()}) {
    if (context != nullptr) context->truncate(context->length() - static_cast<int>(n));
  }
  length_ -= n;
}

// Positions in the context in use follow those in the text, from its start on.
Logits Window::logits_after(int64_t length) const {
  return active_->logits_after(active_->length() - static_cast<int>(length_ - length));
}

void Window::share(Sequence& known) {
  active_->share(known);
  length_ = known.length();
}

int Window::max_pages(int64_t n_tokens) const {
  const int n = static_cast<int>(std::min<int64_t>(n_tokens, n_ctx()));
  if (slides() && n_tokens > start(1)) return ring_->capacity();
  return KvCache::page_count(n);
}

int64_t Window::view_length(int64_t index, int64_t n) const {
  return std::min(n, keep_) + std::max<int64_t>(0, n - start(index));
}

Window::Contexts Window::contexts() const {
  if (length_ == 0) return {0, {}};
  // After a pass that failed, contexts may have moved on further than the text has come.
  if (index_ > 0 && length_ < end(index_ - 1)) return {0, {}};
  if (active_->length() != view_length(index_, length_)) return {0, {}};
  const bool is_full = slides() && length_ == end(index_);
  if (is_full && next_ == nullptr) return {0, {}};
  Contexts found{index_ + (is_full ? 1 : 0), {}};
  if (!is_full) found.sequences.push_back(active_.get());
  if (next_ != nullptr) found.sequences.push_back(next_.get());
  return found;
}

void Window::restore(std::span<const int32_t> text, int64_t index,
                     std::span<const SavedContext> contexts, int code_bias) {
  const auto n = static_cast<int64_t>(text.size());
  const auto require = [](bool right) {
    if (!right) throw std::invalid_argument("the contexts are not those of the text");
  };
  require(contexts.size() == 1 || (slides() && contexts.size() == 2));
  if (slides()) {
    const int64_t in_use = index_for(n);
    require(index == in_use || (index == in_use + 1 && n == end(in_use)));
  } else {
    require(index == 0 && n <= n_ctx());
  }
  for (size_t i = 0; i < contexts.size(); ++i) {
    const std::vector<int32_t> expected = view(index + static_cast<int64_t>(i), text);
    const auto tokens = contexts[i].tokens;
    // The next context may lack the text's end, which is then computed with the next token.
    require(tokens.size() <= expected.size() && (i == 1 || tokens.size() == expected.size()));
    require(std::equal(tokens.begin(), tokens.end(), expected.begin()));
  }
  active_->restore(contexts[0].tokens, contexts[0].pages, code_bias);
  if (contexts.size() == 2) {
    next_ = active_->next_in_ring(0);
    next_->restore(contexts[1].tokens, contexts[1].pages, code_bias);
  }
  index_ = index;
  length_ = n;
}

void Window::release() {
  active_->truncate(0);
  next_ = nullptr;
  if (ring_ != nullptr) ring_->clear();
}

}  // namespace gpt2edge
