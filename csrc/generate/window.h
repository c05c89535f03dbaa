// The context of a text, or the successive contexts of one that slides.
//
// GPT-2's positions are learned and absolute, and part of every cached key and value: a cache
// cannot be shifted to other positions. The end of a text that outgrows its context is therefore
// computed again from position 0. That is done in advance, a token at a time, in the passes of
// decoding.
//
// When a context of n_ctx tokens is full, the next one replaces it: it has the first `keep` tokens
// of the text (sink tokens), without the `discard` tokens that follow them in the full one
// (llama.cpp's n_keep and n_discard). It is filled while the full one is in use, with the same
// tokens in the same passes. The logits are bit-identical to computing each context from scratch.
// model/page_ring.h has the memory layout.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/sequence.h"

namespace gpt2edge {

// How the contexts of a text are made.
struct ContextOptions {
  int n_ctx = 0;  // positions of a context; 0: as many as the model has
  kernels::CacheType cache_type = kernels::CacheType::kF16;

  int positions(const Model& model) const { return n_ctx > 0 ? n_ctx : model.config().n_ctx; }
};

// What happens to a text that is longer than its context.
struct SlideOptions {
  bool slides = false;
  int keep = 0;  // tokens at the text's start that every context begins with
  // Tokens behind those that the next context lacks; none: half of them.
  std::optional<int> discard;
};

class Window {
 public:
  // Throws std::invalid_argument where n_ctx is out of range, or keep and discard leave no room for
  // more text, and MemoryError where the pages of a text that slides will not fit in memory.
  Window(std::shared_ptr<Model> model, const ContextOptions& contexts, const SlideOptions& slide);

  // Tokens are added in two steps, so that several texts can be computed in one pass. `plan` adds
  // the parts to compute for `text`, which begins with the window's tokens, with the logits after
  // its last n_logits tokens; parts refer to this window and are valid until the next call.
  // `commit` follows when they are computed; without it the window is unchanged. Throws what
  // Sequence::append does before it computes.
  void plan(std::span<const int32_t> text, int n_logits, std::vector<Sequence::Part>& parts);
  void commit();

  // Both steps, for one text.
  void append(std::span<const int32_t> text, int n_logits, const Interrupt& interrupt);

  // Throws what adding these tokens would, memory apart.
  void check(std::span<const int32_t> tokens) const;

  // How many tokens of the text the window has.
  int64_t length() const { return length_; }
  // Whether there is room for n tokens more.
  bool has_room(int64_t n) const { return slides() || active_->length() + n <= n_ctx(); }
  // How many tokens after the next n can be rolled back: none at a change of contexts.
  int64_t max_rollback(int64_t n) const;
  // Removes the last n tokens, n at most what max_rollback allowed before they were added.
  void rollback(int64_t n);

  Logits logits_after(int64_t length) const;
  int n_ctx() const { return active_->n_ctx(); }
  bool slides() const { return discard_ > 0; }

  // Begins an empty window with the keys and values of a sequence.
  void share(Sequence& known);
  // Whether the context in use has the text from its first token on.
  bool is_whole() const { return index_ == 0; }
  // Of the context in use, which the text goes on to fill.
  Sequence& context() { return *active_; }
  const Sequence& context() const { return *active_; }
  // How many pages the contexts of a text of n tokens take at the most.
  int max_pages(int64_t n_tokens) const;

  // The contexts that the text needs to go on, and the number of the first of them: the one in use
  // unless it is full, and the next if it has begun. None before the first token, after a pass that
  // failed half-way, or where the context in use is full and the next has not begun.
  struct Contexts {
    int64_t index;
    std::vector<const Sequence*> sequences;
  };
  Contexts contexts() const;
  // A context as it was saved. The pages are those of its tokens.
  struct SavedContext {
    std::span<const int32_t> tokens;
    std::span<const std::byte> pages;
  };
  // Fills an empty window with a text and what `contexts` gave, one or two. Throws
  // std::invalid_argument where they are not the text's, and what Sequence::restore does.
  void restore(std::span<const int32_t> text, int64_t index, std::span<const SavedContext> contexts,
               int code_bias);

  // Frees the memory; no tokens may be added afterwards.
  void release();

 private:
  int64_t start(int64_t index) const { return keep_ + index * discard_; }
  int64_t end(int64_t index) const { return n_ctx() + index * discard_; }
  int64_t index_for(int64_t n) const;
  void move_to(int64_t index);
  std::unique_ptr<Sequence> make_next(Sequence& context) const;
  void add_part(Sequence& context, int64_t index, std::span<const int32_t> text, int n_logits,
                std::vector<int32_t>& tokens, std::vector<Sequence::Part>& parts) const;
  std::vector<int32_t> view(int64_t index, std::span<const int32_t> text) const;
  int64_t view_length(int64_t index, int64_t n) const;

  int64_t keep_ = 0, discard_ = 0;  // discard 0: the text does not slide
  std::shared_ptr<PageRing> ring_;
  std::unique_ptr<Sequence> active_, next_;
  int64_t index_ = 0;   // of the active context
  int64_t length_ = 0;  // tokens of the text
  int64_t planned_ = 0;
  std::array<std::vector<int32_t>, 2> missing_;  // of the parts of the last plan
};

}  // namespace gpt2edge
