// Drafts with a smaller model of the same vocabulary.
#pragma once

#include <memory>

#include "generate/drafting/drafter.h"
#include "generate/window.h"

namespace gpt2edge {

class ModelDrafter : public Drafter {
 public:
  // A token of the draft model takes that share of the time of one of the model's, about. Throws
  // what Window's constructor does.
  ModelDrafter(std::shared_ptr<Model> model, const ContextOptions& contexts,
               const SlideOptions& slide, double cost = 0)
      : window_(std::move(model), contexts, slide), cost_(cost) {}

  std::vector<int32_t> draft(std::span<const int32_t> text, int n, const Sampler& sampler,
                             AllowedLogits* allowed, const Interrupt& interrupt) override;

  double cost() const override { return cost_; }

  const Window& window() const { return window_; }

 private:
  void rollback_rejected(std::span<const int32_t> text);

  Window window_;
  double cost_;
  std::vector<int32_t> text_;  // the tokens in the window, and the last draft token
  int64_t n_drafted_ = 0;      // of the window's last tokens, the draft tokens that may be rejected
};

}  // namespace gpt2edge
