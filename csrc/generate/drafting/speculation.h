// The drafters of one text, the one that is asked first first, each with its own schedule.
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
  int max_draft = kMaxDraft;  // the most tokens at a time
  int min_draft = 0;          // the fewest, whether they pay or not
};

class Speculation {
 public:
  // Throws std::invalid_argument for a number that is out of range.
  Speculation(std::vector<std::unique_ptr<Drafter>> drafters, int min_draft, int max_draft);

  // What may follow the text: at most `limit` tokens, as many as are likely to pay.
  std::vector<int32_t> draft(std::span<const int32_t> text, int64_t limit, const Sampler& sampler,
                             const Interrupt& interrupt);

  // A pass with so many draft tokens, of which the first were accepted, took so long.
  void record_pass(int n_draft, int n_accepted, double seconds);

 private:
  struct ScheduledDrafter {
    std::unique_ptr<Drafter> drafter;
    DraftSchedule schedule;
  };
  std::vector<ScheduledDrafter> drafters_;
  DraftSchedule* active_ = nullptr;  // whose draft is being checked
};

// The drafters that are asked for, or null, for texts of a model whose contexts slide so. Throws
// std::invalid_argument where they do not fit, and what Window's constructor does.
std::unique_ptr<Speculation> make_speculation(const SpeculationOptions& options, const Model& model,
                                              const TokenizerTables& vocabulary,
                                              const SlideOptions& slide);

}  // namespace gpt2edge
