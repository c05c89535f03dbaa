// Keys and values of one sequence: every layer, every head, one slot per position, in pages that
// sequences with the same beginning share.
//
// A copy of a cache is a fork: it has the same pages. What a cache writes to is its own, so a page
// that others share is copied first. Shortening a cache gives its pages up; no number moves.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/kernel_table.h"
#include "model/config.h"
#include "model/page_pool.h"

namespace gpt2edge {

class KvCache {
 public:
  // n_ctx: how many positions it may hold. Takes no page yet.
  KvCache(const Config& config, int n_ctx, kernels::CacheType type, std::shared_ptr<PagePool> pool);

  // Bytes of a page, and of the pages of n_ctx positions; more, maybe, than a 32-bit process can
  // address.
  static uint64_t page_bytes(const Config& config, kernels::CacheType type);
  static uint64_t bytes_needed(const Config& config, int n_ctx, kernels::CacheType type);
  static int page_count(int n_positions);

  // Makes positions [first, end) this cache's own to write. Throws std::bad_alloc; then no position
  // has changed.
  void make_room(int first, int end);

  // Overwrites all pages. With `flips_codes`, int8 codes come from kernels that add 128 to them
  // where ours do not, or the other way round.
  void write(std::span<const std::byte> pages, bool flips_codes);

  // Gives up the pages that hold nothing of the first n positions.
  void truncate(int n);

  kernels::HeadCache head(int layer, int head) const;
  int n_ctx() const { return n_ctx_; }
  kernels::CacheType type() const { return type_; }
  size_t page_bytes() const { return pool_->page_bytes(); }
  const std::vector<std::byte*>& pages() const { return addresses_; }

 private:
  // Where the parts of one head lie in a page, in bytes from its keys, and where it ends.
  struct HeadLayout {
    size_t values, key_scales, value_scales, bytes;
  };
  static HeadLayout head_layout(int d_head, kernels::CacheType type);

  int n_head_, d_head_, n_ctx_;
  kernels::CacheType type_;
  HeadLayout layout_;
  std::shared_ptr<PagePool> pool_;
  std::vector<Page> pages_;
  std::vector<std::byte*> addresses_;  // of pages_
};

}  // namespace gpt2edge
