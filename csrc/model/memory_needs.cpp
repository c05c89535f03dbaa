#include "model/memory_needs.h"

#include <algorithm>

#include "base/available_memory.h"
#include "base/error.h"
#include "model/kv_cache.h"
#include "model/workspace.h"

namespace gpt2edge {
namespace {

// The vocabulary, the sampler, and what the host program takes meanwhile.
constexpr uint64_t kReserve = uint64_t{24} << 20;

// The settings with which `config` fits beside `fixed` bytes of everything else, the smallest
// change first.
std::string remedy(const Config& config, const CacheOptions& cache, int n_ctx, uint64_t fixed,
                   uint64_t available) {
  using kernels::CacheType;
  const auto fits = [&](int n, CacheType type) {
    return fixed + KvCache::bytes_needed(config, n, type) <= available;
  };
  const std::string smaller = "a smaller model or type (pygpt2edge convert --type q4_0)";
  if (cache.type != CacheType::kInt8 && fits(n_ctx, CacheType::kInt8)) {
    return "it fits with --kv-type int8 (kv_type=\"int8\"); or take " + smaller;
  }
  constexpr int kShortest = 64;
  for (int n = n_ctx / 2; n >= kShortest; n /= 2) {
    if (!fits(n, CacheType::kInt8)) continue;
    return message("it fits with --kv-type int8 --n-ctx ", n, " (kv_type=\"int8\", n_ctx=", n,
                   "); or take ", smaller);
  }
  return "free memory, or take " + smaller + "; no --n-ctx or --kv-type makes it fit";
}

}  // namespace

int resolved_n_ctx(const CacheOptions& cache, const Config& config) {
  return cache.n_ctx > 0 ? std::min(cache.n_ctx, config.n_ctx) : config.n_ctx;
}

MemoryNeeds memory_needs(const WeightPlan& plan, const CacheOptions& cache, int n_threads) {
  const Config& config = plan.config();
  const kernels::CacheType type = cache.type.value_or(plan.cache_type());
  return {plan.bytes(), KvCache::bytes_needed(config, resolved_n_ctx(cache, config), type),
          Workspace::bytes_needed(config, n_threads)};
}

void check_fits(const WeightPlan& plan, const CacheOptions& cache, int n_threads,
                uint64_t available) {
  const Config& config = plan.config();
  const MemoryNeeds needs = memory_needs(plan, cache, n_threads);
  if (needs.all() + kReserve <= available) return;
  const int n_ctx = resolved_n_ctx(cache, config);
  const uint64_t fixed = needs.weights + needs.workspace + kReserve;
  throw MemoryError(message(plan.file().path(), ": needs ", megabytes(needs.all() + kReserve),
                            " MB of memory (weights ", megabytes(needs.weights), ", cache of ",
                            n_ctx, " tokens ", megabytes(needs.cache), ", workspace ",
                            megabytes(needs.workspace), "), and ", megabytes(available),
                            " MB are available: ", remedy(config, cache, n_ctx, fixed, available)));
}

}  // namespace gpt2edge
