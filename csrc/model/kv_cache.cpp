#include "model/kv_cache.h"

#include "base/error.h"

namespace gpt2edge {
namespace {

size_t round_up_16(int n) { return (static_cast<size_t>(n) + 15) / 16 * 16; }
size_t number_bytes(kernels::CacheType type) { return type == kernels::CacheType::kF32 ? 4 : 2; }

// Keys are stored by blocks of 16 positions, values by rows of a multiple of 16 dimensions.
size_t key_bytes(int n_ctx, int d_head, kernels::CacheType type) {
  return round_up_16(n_ctx) * static_cast<size_t>(d_head) * number_bytes(type);
}
size_t value_bytes(int n_ctx, int d_head, kernels::CacheType type) {
  return round_up_16(n_ctx) * round_up_16(d_head) * number_bytes(type);
}

}  // namespace

size_t KvCache::bytes_needed(const Config& config, int n_ctx, kernels::CacheType type) {
  const int d_head = config.d_head();
  return static_cast<size_t>(config.n_layer) * config.n_head *
         (key_bytes(n_ctx, d_head, type) + value_bytes(n_ctx, d_head, type));
}

KvCache::KvCache(const Config& config, int n_ctx, kernels::CacheType type)
    : n_head_(config.n_head),
      d_head_(config.d_head()),
      n_ctx_(n_ctx),
      type_(type),
      key_bytes_(key_bytes(n_ctx, d_head_, type)),
      value_bytes_(value_bytes(n_ctx, d_head_, type)),
      buffer_(bytes_needed(config, n_ctx, type)) {}

kernels::HeadCache KvCache::head(int layer, int head) {
  const size_t index = static_cast<size_t>(layer) * n_head_ + head;
  std::byte* keys = buffer_.data() + index * (key_bytes_ + value_bytes_);
  return {keys, keys + key_bytes_, d_head_, type_};
}

}  // namespace gpt2edge
