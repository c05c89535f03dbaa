#include "model/kv_cache.h"

#include <cstring>
#include <new>
#include <utility>

namespace gpt2edge {

// For each layer the keys of all heads, then their values, then the scales of both where they are
// codes: what heads that are computed together read of a page is one run.
KvCache::LayerLayout KvCache::layer_layout(int n_head, int d_head, kernels::CacheType type) {
  const kernels::HeadBytes head = kernels::head_bytes(type, d_head);
  const auto n = static_cast<size_t>(n_head);
  LayerLayout layout;
  layout.values = n * head.keys;
  layout.key_scales = layout.values + n * head.values;
  layout.value_scales = layout.key_scales + n * head.scales;
  layout.bytes = layout.value_scales + n * head.scales;
  return layout;
}

uint64_t KvCache::page_bytes(const Config& config, kernels::CacheType type) {
  return static_cast<uint64_t>(config.n_layer) *
         layer_layout(config.n_head, config.d_head(), type).bytes;
}

int KvCache::page_count(int n_positions) {
  return (n_positions + kernels::kPagePositions - 1) / kernels::kPagePositions;
}

uint64_t KvCache::bytes_needed(const Config& config, int n_ctx, kernels::CacheType type) {
  return static_cast<uint64_t>(page_count(n_ctx)) * page_bytes(config, type);
}

KvCache::KvCache(const Config& config, int n_ctx, kernels::CacheType type,
                 std::shared_ptr<PagePool> pool)
    : KvCache(config, n_ctx, type,
              std::make_shared<PageRing>(std::move(pool), 0, page_count(n_ctx)), 0) {}

KvCache::KvCache(const Config& config, int n_ctx, kernels::CacheType type,
                 std::shared_ptr<PageRing> ring, int first)
    : n_head_(config.n_head),
      d_head_(config.d_head()),
      n_ctx_(n_ctx),
      type_(type),
      layout_(layer_layout(n_head_, d_head_, type)),
      ring_(std::move(ring)),
      first_(first) {
  addresses_.reserve(static_cast<size_t>(page_count(n_ctx)));
}

void KvCache::make_room(int first, int end) {
  const auto n_pages = static_cast<size_t>(page_count(end));
  for (auto i = static_cast<size_t>(first / kernels::kPagePositions); i < n_pages; ++i) {
    if (i < addresses_.size()) {
      addresses_[i] = ring_->own(slot(i));
    } else {
      addresses_.push_back(ring_->renew(slot(i)));
    }
  }
}

KvCache KvCache::fork() const {
  KvCache copy = *this;
  copy.ring_ = std::make_shared<PageRing>(ring_->pool(), 0, page_count(n_ctx_));
  copy.first_ = 0;
  copy.addresses_.reserve(addresses_.capacity());
  for (size_t i = 0; i < addresses_.size(); ++i) {
    copy.ring_->set(static_cast<int>(i), ring_->page(slot(i)));
  }
  return copy;
}

KvCache KvCache::next_run() const {
  KvCache next = *this;
  next.first_ = ring_->advanced(first_, page_count(n_ctx_) - ring_->n_fixed());
  next.addresses_.clear();
  next.addresses_.reserve(addresses_.capacity());
  return next;
}

void KvCache::share(const KvCache& other, int n) {
  const auto n_whole = static_cast<size_t>(n / kernels::kPagePositions);
  for (size_t i = 0; i < n_whole; ++i) {
    const int to = slot(i), from = other.slot(i);
    if (ring_ != other.ring_ || to != from) ring_->set(to, other.ring_->page(from));
    addresses_.push_back(ring_->page(to).get());
  }
  if (n % kernels::kPagePositions == 0) return;
  try {
    std::byte* page = ring_->renew(slot(n_whole));
    std::memcpy(page, other.addresses_[n_whole], page_bytes());
    addresses_.push_back(page);
  } catch (const std::bad_alloc&) {
    addresses_.clear();
    throw;
  }
}

void KvCache::write(std::span<const std::byte> pages, bool flips_codes) {
  for (size_t i = 0; i < addresses_.size(); ++i) {
    std::byte* page = addresses_[i];
    std::memcpy(page, pages.data() + page_bytes() * i, page_bytes());
    if (!flips_codes || type_ != kernels::CacheType::kInt8) continue;
    for (size_t layer = 0; layer < page_bytes(); layer += layout_.bytes) {
      // Keys and values, up to their scales.
      for (size_t at = layer; at < layer + layout_.key_scales; ++at) page[at] ^= std::byte{0x80};
    }
  }
}

void KvCache::truncate(int n) {
  const auto n_pages = static_cast<size_t>(page_count(n));
  while (addresses_.size() > n_pages) {
    addresses_.pop_back();
    ring_->set(slot(addresses_.size()), nullptr);
  }
}

kernels::HeadCache KvCache::head(int layer, int head) const {
  const size_t start = layout_.bytes * static_cast<size_t>(layer);
  const kernels::HeadCache first = {addresses_.data(),
                                    start,
                                    start + layout_.values,
                                    start + layout_.key_scales,
                                    start + layout_.value_scales,
                                    d_head_,
                                    type_};
  return kernels::head_behind(first, static_cast<size_t>(head));
}

}  // namespace gpt2edge
