// A tile of queries over a cache of floats.
//
// Scores and the weighted sum are multiply-adds of floats, over the dimensions and the positions in
// ascending order.
#pragma once

#include "kernels/algorithms/attention_tile.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

struct F32Cache {
  static constexpr size_t kVector = 64;  // bytes of 16 numbers
  static Isa::Floats load(const std::byte* p) {
    return Isa::load(reinterpret_cast<const float*>(p));
  }
};
struct F16Cache {
  static constexpr size_t kVector = 32;
  static Isa::Floats load(const std::byte* p) {
    return Isa::load_f16(reinterpret_cast<const uint8_t*>(p));
  }
};

// Scores of Q queries against the keys of Blocks blocks of 16, from block `first` on, all of one
// page.
template <typename Cache, int Q, int Blocks>
void score_blocks(const Tile& tile, const HeadCache& cache, int first, float scale) {
  constexpr int kPageBlocks = kPagePositions / 16;
  static_assert(kPageBlocks % Blocks == 0);
  const std::byte* keys =
      cache.pages[first / kPageBlocks] + cache.keys + Cache::kVector * (first % kPageBlocks);
  Isa::Floats sum[Q][Blocks];
  for (int q = 0; q < Q; ++q) {
    for (int b = 0; b < Blocks; ++b) sum[q][b] = Isa::broadcast(0.0f);
  }
  for (int d = 0; d < cache.d_head; ++d, keys += Cache::kVector * kPageBlocks) {
    for (int b = 0; b < Blocks; ++b) {
      const Isa::Floats key = Cache::load(keys + Cache::kVector * b);
      for (int q = 0; q < Q; ++q) {
        const float query = tile.query[tile.query_stride * q + d];
        sum[q][b] = Isa::fma(key, Isa::broadcast(query), sum[q][b]);
      }
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int b = 0; b < Blocks; ++b) {
      Isa::store(tile.scores + tile.scores_stride * q + 16 * (first + b),
                 Isa::mul(sum[q][b], Isa::broadcast(scale)));
    }
  }
}

// The weighted sum of the values at positions [begin, end), added to that of the positions before,
// for Q queries and Vectors vectors of 16 dimensions from `first` on. Each query adds the positions
// it attends to, in ascending order.
template <typename Cache, int Q, int Vectors>
void sum_values(const Tile& tile, const HeadCache& cache, int begin, int end, int first) {
  const size_t row_bytes = Cache::kVector * (padded_to_16(cache.d_head) / 16);
  const size_t offset = cache.values + Cache::kVector * first;
  const auto values_of = [&](int page) { return cache.pages[page] + offset; };
  Isa::Floats sum[Q][Vectors];
  for (int q = 0; q < Q; ++q) {
    for (int v = 0; v < Vectors; ++v) sum[q][v] = sums_so_far(tile, begin, q, first + v);
  }
  const int n_common = end < tile.n_keys(0) ? end : tile.n_keys(0);
  for (int j = begin, page_end; j < n_common; j = page_end) {
    const std::byte* value_row = values_of(j / kPagePositions);
    page_end = j + kPagePositions < n_common ? j + kPagePositions : n_common;
    for (int i = j; i < page_end; ++i, value_row += row_bytes) {
      for (int v = 0; v < Vectors; ++v) {
        const Isa::Floats value = Cache::load(value_row + Cache::kVector * v);
        for (int q = 0; q < Q; ++q) {
          const float weight = tile.scores[tile.scores_stride * q + i];
          sum[q][v] = Isa::fma(value, Isa::broadcast(weight), sum[q][v]);
        }
      }
    }
  }
  for (int q = 1; q < Q; ++q) {
    for (int j = n_common; j < tile.n_keys(q) && j < end; ++j) {
      const Isa::Floats weight = Isa::broadcast(tile.scores[tile.scores_stride * q + j]);
      const std::byte* value_row = values_of(j / kPagePositions) + row_bytes * (j % kPagePositions);
      for (int v = 0; v < Vectors; ++v) {
        const Isa::Floats value = Cache::load(value_row + Cache::kVector * v);
        sum[q][v] = Isa::fma(value, weight, sum[q][v]);
      }
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int v = 0; v < Vectors; ++v) {
      Isa::store(tile.sums + tile.d_padded * q + 16 * (first + v), sum[q][v]);
    }
  }
}

// With few queries the registers hold several blocks of keys at a time, which hides the latency of
// the multiply-adds; many queries need all registers for one block.
template <typename Cache, int Q>
struct FloatAttention {
  static constexpr int kQueries = Q;
  static constexpr int kWide = Q < 4 ? 4 / Q : 1;

  void start(const Tile& of, const HeadCache& head) {
    tile = of;
    cache = head;
  }

  // The scores of the keys at positions [begin, end); begin is a page's first.
  void score(int begin, int end) const {
    const int n_blocks = padded_to_16(end) / 16;
    const float scale = 1.0f / Isa::sqrt_lane(static_cast<float>(cache.d_head));
    int b = begin / 16;
    for (; b + kWide <= n_blocks; b += kWide) score_blocks<Cache, Q, kWide>(tile, cache, b, scale);
    for (; b < n_blocks; ++b) score_blocks<Cache, Q, 1>(tile, cache, b, scale);
  }

  // The softmax of all scores.
  void weigh() {
    for (int q = 0; q < Q; ++q) {
      const int n = tile.n_keys(q);
      total[q] = exponentiate(tile.scores + tile.scores_stride * q, n, padded_to_16(n));
      if (tile.weights != nullptr) store_weights(tile, q, total[q]);
    }
  }

  // Adds the values at positions [begin, end).
  void add_values(int begin, int end) const {
    const int n_vectors = padded_to_16(cache.d_head) / 16;
    int v = 0;
    for (; v + kWide <= n_vectors; v += kWide) {
      sum_values<Cache, Q, kWide>(tile, cache, begin, end, v);
    }
    for (; v < n_vectors; ++v) sum_values<Cache, Q, 1>(tile, cache, begin, end, v);
  }

  Tile tile;
  HeadCache cache;
  float total[Q];
};

}  // namespace
}  // namespace gpt2edge::kernels
