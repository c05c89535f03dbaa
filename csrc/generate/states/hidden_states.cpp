#include "generate/states/hidden_states.h"

#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace gpt2edge {
namespace {

// Texts of a pass. Each has at least a page of 64 positions to itself: for the 1.5B model in f16,
// 16 of them take as much as a context of 1,024 tokens.
constexpr size_t kMaxTexts = 16;

void check_state(int state, const Config& config) {
  if (state >= 0 && state <= config.n_layer) return;
  throw std::invalid_argument(message("hidden state ", state,
                                      " is not there: this model has 0 (the ", "embedding) to ",
                                      config.n_layer));
}

void check_texts(const Sequence& empty, const TokenLists& texts) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) {
      throw std::invalid_argument(message("text ", i, " has no tokens; give one at least"));
    }
    try {
      empty.check(texts[i]);
    } catch (const ContextLengthError& error) {
      if (texts.size() == 1) throw;
      throw ContextLengthError(message("text ", i, ": ", error.what()));
    }
  }
}

// How many of the texts from `first` on share a pass: as many as fill its rows.
size_t texts_of_pass(const TokenLists& texts, size_t first) {
  size_t n = 0;
  for (size_t n_rows = 0; first + n < texts.size() && n < kMaxTexts; ++n) {
    n_rows += texts[first + n].size();
    if (n > 0 && n_rows > static_cast<size_t>(kMaxRows)) break;
  }
  return n;
}

// What a pass computes: a row for each token, and room for the states that are wanted.
class Pass {
 public:
  Pass(Model& model, kernels::CacheType cache_type, WantedStates wanted)
      : model_(model), cache_type_(cache_type), wanted_(wanted) {}

  void compute(std::span<const std::vector<int32_t>> texts, const Interrupt& interrupt) {
    size_t n_states = 0;
    for (const auto& text : texts) n_states += count(text);
    states_.resize(n_states * n_embd());
    rows_.clear();
    caches_.clear();
    caches_.reserve(texts.size());  // rows point into it
    float* out = states_.data();
    for (const auto& text : texts) add_rows(text, out);
    model_.hidden_states(rows_, wanted_.state, interrupt);
  }

  template <typename Take>
  void give(std::span<const std::vector<int32_t>> texts, const Take& take) const {
    const float* found = states_.data();
    for (size_t i = 0; i < texts.size(); ++i) {
      const size_t size = count(texts[i]) * n_embd();
      take(i, std::span(std::exchange(found, found + size), size));
    }
  }

 private:
  size_t n_embd() const { return static_cast<size_t>(model_.config().n_embd); }
  size_t count(const std::vector<int32_t>& text) const {
    return wanted_.last_only ? 1 : text.size();
  }

  void add_rows(const std::vector<int32_t>& text, float*& out) {
    const int n_tokens = static_cast<int>(text.size());
    KvCache& cache =
        caches_.emplace_back(model_.config(), n_tokens, cache_type_, model_.page_pool(cache_type_));
    cache.make_room(0, n_tokens);
    const size_t first_wanted = text.size() - count(text);
    for (size_t i = 0; i < text.size(); ++i) {
      Row row{text[i], static_cast<int>(i), &cache, nullptr};
      if (i >= first_wanted) row.residual = std::exchange(out, out + n_embd());
      rows_.push_back(row);
    }
  }

  Model& model_;
  kernels::CacheType cache_type_;
  WantedStates wanted_;
  std::vector<Row> rows_;
  std::vector<KvCache> caches_;
  std::vector<float> states_;
};

}  // namespace

void for_each_text_states(std::shared_ptr<Model> model, const ContextOptions& contexts,
                          const TokenLists& texts, WantedStates wanted,
                          const std::function<void(size_t text, std::span<const float>)>& take,
                          const Interrupt& interrupt) {
  check_state(wanted.state, model->config());
  check_texts(Sequence(model, contexts.positions(*model), contexts.cache_type), texts);
  Pass pass(*model, contexts.cache_type, wanted);
  for (size_t first = 0, n = 0; first < texts.size(); first += n) {
    n = texts_of_pass(texts, first);
    const std::span<const std::vector<int32_t>> of_pass(&texts[first], n);
    pass.compute(of_pass, interrupt);
    pass.give(of_pass, [&](size_t i, std::span<const float> states) { take(first + i, states); });
  }
}

}  // namespace gpt2edge
