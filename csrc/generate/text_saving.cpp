// Text::save and Text::resume: what of a text is saved, and how it goes on.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "generate/text.h"

namespace gpt2edge {
namespace {

SavedText::Origin origin_of(const Model& model, const ContextOptions& contexts) {
  return {model.fingerprint(), model.file_name(), contexts.cache_type, contexts.positions(model),
          model.kernels().code_bias};
}

}  // namespace

void Text::save(const SavedText::Write& write) const {
  const std::lock_guard lock(mutex_);
  saved().write(write);
}

uint64_t Text::saved_bytes() const {
  const std::lock_guard lock(mutex_);
  return saved().n_bytes();
}

SavedText Text::saved() const {
  const auto n_text = static_cast<int64_t>(text_.size() - n_draft_);
  if (window_.length() == n_text || finish_reason_ == FinishReason::kStop) {
    throw std::invalid_argument("the text has ended: there is nothing to continue");
  }
  if (options_.sampling.logits_processor != nullptr) {
    throw std::invalid_argument(
        "the text has a logits_processor, which is code and cannot be saved: without it, the text "
        "would continue differently");
  }
  SavedText saved;
  const Sequence& context = window_.context();
  saved.origin = origin_of(*model_, {context.n_ctx(), context.cache_type()});
  saved.options = options_;
  const auto prompt_end = text_.begin() + static_cast<std::ptrdiff_t>(n_prompt_);
  saved.prompt.assign(text_.begin(), prompt_end);
  saved.tokens.assign(prompt_end, text_.end() - static_cast<std::ptrdiff_t>(n_draft_));
  saved.logprobs = logprobs_;
  saved.draw_index = sampler_.draw_index();
  if (constraint_ != nullptr) saved.constraint = constraint_->saved();
  if (window_.length() == 0) return saved;
  const Window::Contexts contexts = window_.contexts();
  saved.context_index = contexts.index;
  saved.n_computed = contexts.sequences.empty() ? 0 : window_.length();
  for (const Sequence* sequence : contexts.sequences) {
    SavedText::Context& to = saved.contexts.emplace_back();
    to.tokens = sequence->tokens();
    const auto n_pages = static_cast<size_t>(KvCache::page_count(sequence->length()));
    for (size_t i = 0; i < n_pages; ++i) {
      to.pages.emplace_back(sequence->pages()[i], sequence->page_bytes());
    }
  }
  return saved;
}

std::unique_ptr<Text> Text::resume(const std::string& name, std::span<const std::byte> bytes,
                                   std::shared_ptr<Model> model,
                                   std::shared_ptr<const TokenizerTables> vocabulary,
                                   const ContextOptions& contexts,
                                   std::optional<int64_t> max_tokens,
                                   const SpeculationOptions& speculation,
                                   const MakeConstraint& make_constraint) {
  SavedText saved = SavedText::read(name, bytes, origin_of(*model, contexts));
  if (max_tokens) {
    if (*max_tokens < 0) {
      throw std::invalid_argument(message("max_tokens is ", *max_tokens, "; give 0 or more"));
    }
    const auto n = static_cast<int64_t>(saved.tokens.size());
    saved.options.max_tokens = n + std::min(*max_tokens, INT64_MAX - n);
  }
  std::unique_ptr<Constraint> constraint;
  if (!saved.constraint.empty()) {
    if (!make_constraint) {
      throw UnsupportedError(message(
          name, ": the text is kept to a regex, a json_schema or a grammar: go on in Python"));
    }
    constraint = make_constraint(saved.constraint, saved.prompt, saved.tokens);
  }
  auto drafters =
      make_speculation(speculation, *model, *vocabulary, saved.options.slide(saved.prompt.size()));
  const auto invalid_header = [&](const std::exception& error) {
    return FormatError(message(name, ": its header makes no sense: ", error.what()));
  };
  try {
    check_tokens(saved.prompt, model->config());
    check_tokens(saved.tokens, model->config());
    auto text =
        std::make_unique<Text>(std::move(model), std::move(vocabulary), contexts, saved.prompt,
                               saved.options, std::move(drafters), std::move(constraint));
    text->restore(saved);
    return text;
  } catch (const std::invalid_argument& error) {
    throw invalid_header(error);
  } catch (const ContextLengthError& error) {
    throw invalid_header(error);
  }
}

void Text::restore(const SavedText& saved) {
  replay(saved);
  if (saved.contexts.empty() && saved.n_computed == 0) return;
  // The last token is computed with what comes.
  if (saved.n_computed < 1 || saved.n_computed >= static_cast<int64_t>(text_.size())) {
    throw std::invalid_argument(
        message(saved.n_computed, " tokens are computed, of a text of ", text_.size()));
  }
  std::vector<Window::SavedContext> contexts;
  for (const SavedText::Context& context : saved.contexts) {
    contexts.push_back({context.tokens, context.pages.front()});
  }
  window_.restore(std::span(text_).first(static_cast<size_t>(saved.n_computed)),
                  saved.context_index, contexts, saved.origin.code_bias);
}

}  // namespace gpt2edge
