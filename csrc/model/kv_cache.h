// Keys and values of one sequence: every layer, every head, one position a token, in pages of 64
// positions. The pages are a run of slots of a ring (page_ring.h), which the contexts of a text
// have in common; a sequence by itself has a ring for itself.
//
// A fork of a cache has the same pages in a ring of its own. A page that is shared is copied before
// it is written to. Truncating a cache frees pages and moves no data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/kernel_table.h"
#include "model/config.h"
#include "model/page_ring.h"

namespace gpt2edge {

class KvCache {
 public:
  // n_ctx: how many positions it may hold. Takes no page yet.
  KvCache(const Config& config, int n_ctx, kernels::CacheType type, std::shared_ptr<PagePool> pool);
  // Its pages are a run of a ring that has slots for a whole context, from rotating slot `first`
  // on.
  KvCache(const Config& config, int n_ctx, kernels::CacheType type, std::shared_ptr<PageRing> ring,
          int first);

  // Bytes of a page, and of the pages of n_ctx positions; more, maybe, than a 32-bit process can
  // address.
  static uint64_t page_bytes(const Config& config, kernels::CacheType type);
  static uint64_t bytes_needed(const Config& config, int n_ctx, kernels::CacheType type);
  static int page_count(int n_positions);

  // Makes positions [first, end) this cache's own to write. Throws std::bad_alloc; then no position
  // has changed.
  void make_room(int first, int end);

  // The same positions, in a ring of its own that shares the pages.
  KvCache fork() const;
  // An empty cache of the next run of the same ring, behind this one.
  KvCache next_run() const;
  // Positions [0, n) of another cache, whose whole pages are shared and not copied. Only for an
  // empty cache. Throws std::bad_alloc; then it is still empty.
  void share(const KvCache& other, int n);

  // Overwrites all pages. With `flips_codes`, int8 codes come from kernels that add 128 to them
  // where ours do not, or the other way round.
  void write(std::span<const std::byte> pages, bool flips_codes);

  // Gives up the pages that hold nothing of the first n positions.
  void truncate(int n);

  kernels::HeadCache head(int layer, int head) const;
  int n_ctx() const { return n_ctx_; }
  kernels::CacheType type() const { return type_; }
  size_t page_bytes() const { return ring_->pool()->page_bytes(); }
  const std::vector<std::byte*>& pages() const { return addresses_; }

 private:
  // Where the parts of one layer lie in a page, in bytes from its keys, and where it ends.
  struct LayerLayout {
    size_t values, key_scales, value_scales, bytes;
  };
  static LayerLayout layer_layout(int n_head, int d_head, kernels::CacheType type);
  int slot(size_t page) const { return ring_->slot(first_, static_cast<int>(page)); }

  int n_head_, d_head_, n_ctx_;
  kernels::CacheType type_;
  LayerLayout layout_;
  std::shared_ptr<PageRing> ring_;
  int first_;                          // rotating slot of the first page that is not a fixed one
  std::vector<std::byte*> addresses_;  // of the pages, in order: what the kernels read
};

}  // namespace gpt2edge
