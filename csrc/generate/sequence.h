// A sequence of tokens, its KV cache, and the logits of the next token.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "generate/sampling/candidates.h"
#include "model/kv_cache.h"
#include "model/model.h"

namespace gpt2edge {

// n_ctx as it is. Throws std::invalid_argument for more than the model has positions, and below 1.
int checked_n_ctx(int n_ctx, const Config& config);

class Sequence {
 public:
  // n_ctx: the most tokens it may hold, at most the model's. Throws std::invalid_argument
  // otherwise.
  Sequence(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type);
  // A sequence whose pages are a run of a ring, the first page at rotating slot 0.
  Sequence(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type,
           std::shared_ptr<PageRing> ring);

  // Tokens to append. Afterwards the sequence has the logits that follow the last n_logits of them,
  // as far as there are so many. With all_logits, which has room for (tokens.size(),
  // n_vocab), those after every token go there, and the sequence has the last ones.
  struct Part {
    Sequence* sequence;
    std::span<const int32_t> tokens;
    int n_logits = 1;
    float* all_logits = nullptr;
    // To be filled; of as many rows as there are tokens, and positions as there will be. Throws
    // std::runtime_error where that has changed since.
    const AttentionWeights* weights = nullptr;
  };

  // Appends tokens to several sequences of one model, in one pass over its weights. Throws
  // ContextLengthError when they do not fit, UnsupportedError where logits are wanted of a model
  // that does not predict tokens, std::invalid_argument for a token that is not in the vocabulary,
  // a sequence that comes twice or one of another model, and std::bad_alloc without memory for
  // them; then, and when interrupted, all sequences are as they were before.
  static void append(std::span<const Part> parts, const Interrupt& interrupt);

  // Throws what append would for these tokens, memory apart.
  void check(std::span<const int32_t> tokens) const;
  // The same as if there were room for any number.
  void check_tokens(std::span<const int32_t> tokens) const;

  // Drops all but the first n tokens. An empty sequence has no pages.
  void truncate(int n);

  // Another sequence of the same tokens. They share the memory of what they have in common.
  std::unique_ptr<Sequence> fork();
  // The next sequence of a text whose contexts are runs of one ring: it begins with the first n
  // tokens of this one, whose whole pages are not copied.
  std::unique_ptr<Sequence> next_in_ring(int n);
  // Takes over the memory that another sequence has for logits, which has none then.
  void take_logits_memory(Sequence& other);
  // Begins an empty sequence with the tokens of another, of the same model, n_ctx and cache type.
  // They share the memory.
  void share(Sequence& other);

  // The keys and values of the tokens, a page after the other, and how to have them again: `pages`
  // are those of a sequence with these tokens, of the same model and cache type, computed by
  // kernels that add `code_bias` to codes. Only for a sequence without tokens. Throws
  // ContextLengthError, std::invalid_argument for tokens that are none or pages that are not as
  // many bytes as theirs are, and std::bad_alloc; then there are still no tokens.
  const std::vector<std::byte*>& pages() const { return cache_.pages(); }
  size_t page_bytes() const { return cache_.page_bytes(); }
  void restore(std::span<const int32_t> tokens, std::span<const std::byte> pages, int code_bias);

  // The logits after the first n tokens, if the last append kept them. Throws std::invalid_argument
  // otherwise.
  Logits logits_after(int n) const;
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int length() const { return static_cast<int>(tokens_.size()); }
  int n_ctx() const { return cache_.n_ctx(); }
  kernels::CacheType cache_type() const { return cache_.type(); }
  // Of a full cache, and of the pages that it has so far, shared ones counted in full.
  size_t cache_bytes() const;
  size_t cache_bytes_used() const { return cache_.pages().size() * cache_.page_bytes(); }
  const Model& model() const { return *model_; }
  Model& model() { return *model_; }

 private:
  static constexpr int kNoLogits = std::numeric_limits<int>::max();
  Sequence(std::shared_ptr<Model> model, KvCache cache)
      : model_(std::move(model)), cache_(std::move(cache)) {}
  class Use;  // throws where a second thread calls meanwhile
  void add_rows(const Part& part, std::vector<Row>& rows);
  void accept(const Part& part);

  std::shared_ptr<Model> model_;
  KvCache cache_;
  std::vector<int32_t> tokens_;
  // A row for each length of the text from logits_from_ on; no maxima where they were not noted.
  std::vector<float> logits_, maxima_;
  int logits_from_ = kNoLogits;
  std::atomic<int> in_use_{0};  // no bool: RISC-V exchanges whole words only, without libatomic
};

}  // namespace gpt2edge
