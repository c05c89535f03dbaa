// The contexts of a text that is coded token by token, one after the other.
//
// The first begins with the start token. When a context is full, the next one begins with the last
// half as many tokens of the text at position 0, since GPT-2's positions are absolute. What a token
// is coded with thus depends on nothing but the tokens before it, and is the same when they come
// one by one and when many come in one pass.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "generate/sequence.h"

namespace gpt2edge {

class CodedContext {
 public:
  static constexpr kernels::CacheType kCacheType = kernels::CacheType::kF16;

  CodedContext(std::shared_ptr<Model> model, int n_ctx, int32_t start)
      : sequence_(std::move(model), n_ctx, kCacheType), start_(start) {}

  // The tokens to append to the sequence, after which come the logits of the token behind `text`,
  // which has one token more than at the last call, or as many more as were appended since.
  std::vector<int32_t> inputs_after(std::span<const int32_t> text);
  // How many tokens of the text that go on from there may be appended with n inputs.
  size_t room_beside(size_t n) const {
    return static_cast<size_t>(sequence_.n_ctx() - sequence_.length()) - n;
  }
  Sequence& sequence() { return sequence_; }

 private:
  Sequence sequence_;
  int32_t start_;
};

}  // namespace gpt2edge
