// Keys and values of one sequence: every layer, every head, one slot per position.
#pragma once

#include <cstdint>

#include "base/aligned_buffer.h"
#include "kernels/kernel_table.h"
#include "model/config.h"

namespace gpt2edge {

class KvCache {
 public:
  // n_ctx: how many positions it holds.
  KvCache(const Config& config, int n_ctx, kernels::CacheType type);

  // May be more than a 32-bit process can address.
  static uint64_t bytes_needed(const Config& config, int n_ctx, kernels::CacheType type);

  kernels::HeadCache head(int layer, int head);
  int n_ctx() const { return n_ctx_; }
  size_t bytes() const { return buffer_.size(); }

 private:
  // Where the parts of one head's cache begin, in bytes from its keys, and where it ends.
  struct HeadLayout {
    size_t values, key_scales, value_scales, bytes;
  };
  static HeadLayout head_layout(int n_ctx, int d_head, kernels::CacheType type);

  int n_head_, d_head_, n_ctx_;
  kernels::CacheType type_;
  HeadLayout layout_;
  AlignedBuffer buffer_;
};

}  // namespace gpt2edge
