// The drafters of one text, in the order in which they are tried, each with its own schedule.
#pragma once

#include <memory>
#include <vector>

#include "formats/tokenizer_tables.h"
#include "generate/drafting/draft_schedule.h"
#include "generate/drafting/drafter.h"
#include "generate/window.h"

namespace gpt2edge {

// The core computes the logits of 16 rows together, of which the first is no draft.
constexpr int kMaxDraft = 15;

struct SpeculationOptions {
  bool prompt_lookup = false;
  std::shared_ptr<Model> draft;  // a smaller model, or null
  std::shared_ptr<const TokenizerTables> draft_vocabulary;
  ContextOptions draft_contexts;
  int max_draft = kMaxDraft;  // draft tokens of a pass
  int min_draft = 0;          // the same, drafted even where it is slower
};

class Speculation {
 public:
  // Throws std::invalid_argument for a number that is out of range.
  Speculation(std::vector<std::unique_ptr<Drafter>> drafters, int min_draft, int max_draft);

  // Draft tokens to follow the text: at most `limit`, and as many as are likely to be faster. A
  // drafter need not keep to the allowed ones.
  std::vector<int32_t> draft(std::span<const int32_t> text, int64_t limit, const Sampler& sampler,
                             AllowedLogits* allowed, const Interrupt& interrupt);

  // A pass with so many draft tokens, of which the first were accepted, took so long.
  void record_pass(int n_draft, int n_accepted, double seconds);

 private:
  struct ScheduledDrafter {
    std::unique_ptr<Drafter> drafter;
    DraftSchedule schedule;
  };
  std::vector<ScheduledDrafter> drafters_;
  DraftSchedule* active_ = nullptr;  // of the draft that is being verified
};

// The drafters that are asked for, or null, for texts of a model whose contexts slide so. Throws
// std::invalid_argument where they do not fit, and what Window's constructor does.
std::unique_ptr<Speculation> make_speculation(const SpeculationOptions& options, const Model& model,
                                              const TokenizerTables& vocabulary,
                                              const SlideOptions& slide);

}  // namespace gpt2edge
