// The sequences of a text that is being edited.
//
// The context begins at the start of the text or, when it is long, at a multiple of half of what
// fits. The next context is computed in advance, so that the change takes no longer than any other
// token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "generate/sequence.h"

namespace gpt2edge {

class TextContexts {
 public:
  using Tokens = std::span<const int32_t>;

  // Throws what Sequence does.
  TextContexts(std::shared_ptr<Model> model, int n_ctx, kernels::CacheType cache_type);

  // For how many tokens after the text there is room.
  size_t room() const { return room_; }

  // The part of a non-empty text that is in the context.
  Tokens view(Tokens text) const { return text.subspan(start_of_view(text.size())); }

  // The sequence of that part, with the logits after it if `with_logits`. Throws what
  // Sequence::append does; after an error or interrupt the next call computes what is missing.
  Sequence& sequence(Tokens text, bool with_logits, const Interrupt& interrupt);

  // n forks of that sequence, to append to. They are reused while the text is the same: a new fork
  // copies a page of memory when it is first appended to.
  std::vector<Sequence*> forks(Tokens text, size_t n, const Interrupt& interrupt);

  // Gives the memory back.
  void clear();

  Model& model() { return *model_; }

 private:
  size_t start_of_view(size_t n_tokens) const;
  void keep_sequences(size_t start, size_t next_start);

  std::shared_ptr<Model> model_;
  int n_ctx_;
  kernels::CacheType cache_type_;
  size_t room_, most_, step_;
  std::map<size_t, std::unique_ptr<Sequence>> sequences_;  // by their starts in the text
  std::vector<std::unique_ptr<Sequence>> forks_;
};

}  // namespace gpt2edge
