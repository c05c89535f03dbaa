#include "model/kv_cache.h"

#include "base/error.h"

namespace gpt2edge {
namespace {

size_t round_up(int n, int multiple) {
  return static_cast<size_t>((n + multiple - 1) / multiple) * static_cast<size_t>(multiple);
}

size_t number_bytes(kernels::CacheType type) {
  switch (type) {
    case kernels::CacheType::kF32:
      return 4;
    case kernels::CacheType::kF16:
      return 2;
    case kernels::CacheType::kInt8:
      return 1;
  }
  return 0;
}

}  // namespace

// A head's keys, then its values, then the scales of both where they are codes. Positions and
// dimensions are padded to what the kernels store and read at a time.
KvCache::HeadLayout KvCache::head_layout(int n_ctx, int d_head, kernels::CacheType type) {
  const bool is_int8 = type == kernels::CacheType::kInt8;
  const size_t positions = round_up(n_ctx, is_int8 ? kernels::kBlockPositions : 16);
  const size_t padded = round_up(d_head, 16);
  HeadLayout layout;
  layout.values = positions * (is_int8 ? padded : static_cast<size_t>(d_head)) * number_bytes(type);
  layout.key_scales = layout.values + positions * padded * number_bytes(type);
  layout.value_scales = layout.key_scales + (is_int8 ? positions * sizeof(float) : 0);
  layout.bytes = layout.value_scales + (is_int8 ? positions * sizeof(float) : 0);
  return layout;
}

uint64_t KvCache::bytes_needed(const Config& config, int n_ctx, kernels::CacheType type) {
  return static_cast<uint64_t>(config.n_layer) * static_cast<uint64_t>(config.n_head) *
         head_layout(n_ctx, config.d_head(), type).bytes;
}

KvCache::KvCache(const Config& config, int n_ctx, kernels::CacheType type)
    : n_head_(config.n_head),
      d_head_(config.d_head()),
      n_ctx_(n_ctx),
      type_(type),
      layout_(head_layout(n_ctx, d_head_, type)),
      buffer_(bytes_needed(config, n_ctx, type)) {}

kernels::HeadCache KvCache::head(int layer, int head) {
  const size_t index = static_cast<size_t>(layer) * n_head_ + head;
  std::byte* keys = buffer_.data() + index * layout_.bytes;
  return {keys,
          keys + layout_.values,
          reinterpret_cast<float*>(keys + layout_.key_scales),
          reinterpret_cast<float*>(keys + layout_.value_scales),
          d_head_,
          type_};
}

}  // namespace gpt2edge
