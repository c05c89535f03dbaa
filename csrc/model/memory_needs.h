// The memory that a model needs, before anything is allocated.
#pragma once

#include <optional>

#include "kernels/kernel_table.h"
#include "model/weight_plan.h"

namespace gpt2edge {

// How sequences of a model will be kept.
struct CacheOptions {
  int n_ctx = 0;                           // 0: as many positions as the model has
  std::optional<kernels::CacheType> type;  // none: f32 for a model stored in f32, else f16
};

struct MemoryNeeds {
  uint64_t weights, cache, workspace;  // bytes; the cache is one sequence's
  uint64_t all() const { return weights + cache + workspace; }
};

// The positions of a sequence.
int resolved_n_ctx(const CacheOptions& cache, const Config& config);

MemoryNeeds memory_needs(const WeightPlan& plan, const CacheOptions& cache, int n_threads);

// Throws MemoryError, naming what would help, when a model needs more than `available` bytes.
void check_fits(const WeightPlan& plan, const CacheOptions& cache, int n_threads,
                uint64_t available);

}  // namespace gpt2edge
