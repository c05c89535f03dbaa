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
  // Throws ContextLengthError when they do not fit, std::invalid_argument for a token that is not
  // in the vocabulary and std::bad_alloc without memory for them; then, and when interrupted, the
  // sequence is as it was before.
  void append(std::span<const int32_t> tokens, float* all_logits, const Interrupt& interrupt);

  // Throws what append would for these tokens, memory apart.
  void check(std::span<const int32_t> tokens) const;

  // The same for several sequences of one model, in one pass over its weights. Throws for all when
  // it would for one; std::invalid_argument when one comes twice or has another model.
  struct Part {
    Sequence* sequence;
    std::span<const int32_t> tokens;
    float* all_logits = nullptr;
    // To be filled; of as many rows as there are tokens, and positions as there will be. Throws
    // std::runtime_error where that has changed since.
    const AttentionWeights* weights = nullptr;
  };
  static void append_together(std::span<const Part> parts, const Interrupt& interrupt);

  // Forgets all but the first n tokens. logits() are unknown until the next append. Without tokens
  // a sequence holds no memory to speak of.
  void truncate(int n);

  // Another sequence of the same tokens. They share the memory of what they have in common.
  std::unique_ptr<Sequence> fork();

  // The keys and values of the tokens, a page after the other, and how to have them again: `pages`
  // are those of a sequence with these tokens, of the same model and cache type, computed by
  // kernels that add `code_bias` to codes. Only for a sequence without tokens. Throws
  // ContextLengthError, std::invalid_argument for tokens that are none or pages that are not as
  // many bytes as theirs are, and std::bad_alloc; then there are still no tokens.
  const std::vector<std::byte*>& pages() const { return cache_.pages(); }
  size_t page_bytes() const { return cache_.page_bytes(); }
  void restore(std::span<const int32_t> tokens, std::span<const std::byte> pages, int code_bias);

  Logits logits() const;
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int length() const { return static_cast<int>(tokens_.size()); }
  int n_ctx() const { return cache_.n_ctx(); }
  // Of a full cache, and of the pages that it has so far, shared ones counted in full.
  size_t cache_bytes() const;
  size_t cache_bytes_used() const { return cache_.pages().size() * cache_.page_bytes(); }
  const Model& model() const { return *model_; }

 private:
  class Use;  // refuses a second thread, for the time of a call
  void add_rows(const Part& part, std::vector<Row>& rows);
  void accept(const Part& part);

  std::shared_ptr<Model> model_;
  KvCache cache_;
  std::vector<int32_t> tokens_;
  std::vector<float> logits_, maxima_;  // no maxima where they were not noted
  bool has_logits_ = false;
  std::atomic<bool> in_use_{false};
};

}  // namespace gpt2edge
