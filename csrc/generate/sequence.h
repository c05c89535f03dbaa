// One text in the making: its tokens, their cache, and the logits of what may come next.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "generate/candidates.h"
#include "model/kv_cache.h"
#include "model/model.h"

namespace gpt2edge {

class Sequence {
 public:
  // n_ctx: the most tokens it may hold, at most the model's. Throws std::invalid_argument
  // otherwise.
  Sequence(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type);

  // Appends tokens and computes them. Afterwards logits() are those that follow the last one. With
  // all_logits, which has room for (tokens.size(), n_vocab), those after every token go there too.
  // Throws ContextLengthError when they do not fit and std::invalid_argument for a token that is
  // not in the vocabulary; then, and when interrupted, the sequence is as it was before.
  void append(std::span<const int32_t> tokens, float* all_logits, const Interrupt& interrupt);

  // Forgets all but the first n tokens. logits() are unknown until the next append.
  void truncate(int n);

  Logits logits() const;
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int length() const { return static_cast<int>(tokens_.size()); }
  int n_ctx() const { return cache_.n_ctx(); }
  size_t cache_bytes() const { return cache_.bytes(); }
  const Model& model() const { return *model_; }

 private:
  class Use;  // refuses a second thread, for the time of a call
  void check(std::span<const int32_t> tokens) const;

  std::shared_ptr<Model> model_;
  KvCache cache_;
  std::vector<int32_t> tokens_;
  std::vector<Row> rows_;
  std::vector<float> logits_, maxima_;  // no maxima where they were not noted
  bool has_logits_ = false;
  std::atomic<bool> in_use_{false};
};

}  // namespace gpt2edge
