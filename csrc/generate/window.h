// What the model sees of a text: one context, or contexts that follow one another without a pause.
//
// GPT-2's positions are learned and absolute, and every key and value in a cache is made with them:
// what is cached cannot be moved to another position. A text that outgrows its context is therefore
// encoded anew, from position 0, for as much of its end as is kept. That is done in advance, a
// token at a time, in the passes that the text takes anyway.
//
// When a context of n_ctx tokens is full, the next is in use: it has the `keep` first tokens of the
// text, and lacks the `discard` tokens that came after those in the full one (llama.cpp's n_keep
// and n_discard). It is filled while the full one is still in use: it gets every token from the one
// on that it will begin with, in the same pass over the weights. The logits are bit for bit those
// of encoding the tokens in view from nothing at every change of contexts. Where the memory comes
// from is in model/page_ring.h.
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

  // Tokens are added in two steps, so that several texts can be computed in one pass. `plan` says
  // what is to be computed for `text`, of which the window has the first length() tokens, so that
  // the window has the logits after the last n_logits of it; the parts borrow from this window and
  // hold until the next call. Once they are computed, `commit` makes it so. Where they are not, the
  // window has what it had. Throws what Sequence::append does before it computes.
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
  // How many tokens may follow the next n and still be taken back. None that begin a context or end
  // one: those change more than the lengths of sequences.
  int64_t max_rollback(int64_t n) const;
  // The last n tokens are no part of the text. Only max_rollback ones can be taken back.
  void rollback(int64_t n);

  Logits logits_after(int64_t length) const;
  int n_ctx() const { return active_->n_ctx(); }
  bool slides() const { return discard_ > 0; }

  // The text, of which there is nothing yet, begins with what a sequence has computed.
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

  // Gives up the memory: nothing more will be added.
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
