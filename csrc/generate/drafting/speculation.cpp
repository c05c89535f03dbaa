#include "generate/drafting/speculation.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "generate/drafting/model_drafter.h"
#include "generate/drafting/prompt_lookup.h"

namespace gpt2edge {
namespace {

using Clock = std::chrono::steady_clock;

void check_vocabulary(const Model& model, const TokenizerTables& ours, const Model& draft,
                      const TokenizerTables& theirs) {
  const bool same = ours.token_bytes == theirs.token_bytes && ours.bos_token == theirs.bos_token &&
                    ours.eos_token == theirs.eos_token;
  if (same) return;
  throw std::invalid_argument(
      message("the draft ", draft.file_name(), " has another vocabulary than ", model.file_name(),
              ": only a model of the same vocabulary can draft its tokens"));
}

// A draft model's context may be shorter than the text's: it keeps as much as fits its own.
SlideOptions slide_of_draft(const SlideOptions& slide, const Model& draft,
                            const ContextOptions& contexts) {
  return {slide.slides, std::min(slide.keep, contexts.positions(draft) / 2), std::nullopt};
}

}  // namespace

Speculation::Speculation(std::vector<std::unique_ptr<Drafter>> drafters, int min_draft,
                         int max_draft) {
  if (max_draft < 1 || max_draft > kMaxDraft) {
    throw std::invalid_argument(
        message("max_draft_tokens is ", max_draft, "; give 1 to ", kMaxDraft));
  }
  if (min_draft < 0 || min_draft > max_draft) {
    throw std::invalid_argument(message("min_draft_tokens is ", min_draft,
                                        "; give 0 to max_draft_tokens, which is ", max_draft));
  }
  for (auto& drafter : drafters) {
    const DraftSchedule schedule(min_draft, max_draft, drafter->cost());
    drafters_.push_back({std::move(drafter), schedule});
  }
}

std::vector<int32_t> Speculation::draft(std::span<const int32_t> text, int64_t limit,
                                        const Sampler& sampler, AllowedLogits* allowed,
                                        const Interrupt& interrupt) {
  active_ = nullptr;
  for (auto& [drafter, schedule] : drafters_) {
    const auto n = static_cast<int>(std::min<int64_t>(schedule.n_draft(), limit));
    if (n < 1) continue;
    const auto start = Clock::now();
    std::vector<int32_t> found = drafter->draft(text, n, sampler, allowed, interrupt);
    if (found.empty()) continue;
    const std::chrono::duration<double> took = Clock::now() - start;
    schedule.record_draft(static_cast<int>(found.size()), took.count());
    active_ = &schedule;
    return found;
  }
  return {};
}

void Speculation::record_pass(int n_draft, int n_accepted, double seconds) {
  if (active_ != nullptr) {
    active_->record_pass(n_draft, n_accepted, seconds);
  } else if (n_draft == 0) {
    for (auto& scheduled : drafters_) scheduled.schedule.record_pass(0, 0, seconds);
  }
}

std::unique_ptr<Speculation> make_speculation(const SpeculationOptions& options, const Model& model,
                                              const TokenizerTables& vocabulary,
                                              const SlideOptions& slide) {
  std::vector<std::unique_ptr<Drafter>> drafters;
  if (options.prompt_lookup) drafters.push_back(std::make_unique<PromptLookup>());
  if (options.draft != nullptr) {
    check_vocabulary(model, vocabulary, *options.draft, *options.draft_vocabulary);
    const SlideOptions draft_slide = slide_of_draft(slide, *options.draft, options.draft_contexts);
    // Decoding takes the time of reading the weights.
    const double cost = static_cast<double>(options.draft->bytes_per_token()) /
                        static_cast<double>(model.bytes_per_token());
    drafters.push_back(
        std::make_unique<ModelDrafter>(options.draft, options.draft_contexts, draft_slide, cost));
  }
  if (drafters.empty()) return nullptr;
  return std::make_unique<Speculation>(std::move(drafters), options.min_draft, options.max_draft);
}

}  // namespace gpt2edge
