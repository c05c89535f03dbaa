// A tile of queries over a cache of int8 codes.
//
// Both products are those of matmul: the queries are quantized and multiplied by 16 keys at a time;
// the softmax's weights, each times the scale of its value, are quantized by blocks of 32 positions
// and multiplied by 16 dimensions of the values at a time. Integers accumulate exactly within a
// block, blocks in ascending order by fused multiply-adds.
#pragma once

#include <string.h>

#include "kernels/algorithms/attention_tile.inl.h"
#include "kernels/algorithms/codes.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

constexpr int padded_to_block(int n) {
  return (n + kBlockPositions - 1) / kBlockPositions * kBlockPositions;
}

struct Int8Attention {
  template <int Q>
  static void run(const Tile& tile, const HeadCache& cache) {
    QuantizedVector query[Q];
    const float root = Isa::sqrt_lane(static_cast<float>(cache.d_head));
    for (int q = 0; q < Q; ++q) {
      int8_t* to = tile.codes + tile.d_padded * q;
      query[q] = quantize_vector(tile.query + tile.query_stride * q, cache.d_head,
                                 [&](int d, const int8_t* codes) { memcpy(to + d, codes, 16); });
      query[q].scale /= root;
    }
    const int n_blocks = padded_to_block(tile.n_keys(Q - 1)) / kBlockPositions;
    for (int b = 0; b < 2 * n_blocks; ++b) score_block<Q>(tile, cache, query, b);

    float total[Q];
    for (int q = 0; q < Q; ++q) {
      total[q] = exponentiate(tile.scores + tile.scores_stride * q, tile.n_keys(q),
                              n_blocks * kBlockPositions);
      if (tile.weights != nullptr) store_weights(tile, q, total[q]);
      quantize_weights(tile, cache, q, n_blocks);
    }

    constexpr int kWide = Q < 4 ? 4 / Q : 1;
    const int n_vectors = static_cast<int>(tile.d_padded) / 16;
    int v = 0;
    for (; v + kWide <= n_vectors; v += kWide) sum_values<Q, kWide>(tile, cache, v, n_blocks);
    for (; v < n_vectors; ++v) sum_values<Q, 1>(tile, cache, v, n_blocks);
    for (int q = 0; q < Q; ++q) divide(tile, cache.d_head, q, total[q]);
  }

 private:
  static constexpr int kPageBlocks = kPagePositions / kBlockPositions;
  static constexpr int kBlockGroups = kBlockPositions / 4;

  // Scores of Q queries against 16 keys, the b-th such group. A query's scale is already over
  // sqrt(d_head).
  template <int Q>
  static void score_block(const Tile& tile, const HeadCache& cache, const QuantizedVector* query,
                          int b) {
    constexpr int kPageGroups = kPagePositions / 16;
    const std::byte* page = cache.pages[b / kPageGroups];
    const size_t at = static_cast<size_t>(b % kPageGroups);
    const auto* keys =
        reinterpret_cast<const uint8_t*>(page + cache.keys) + 16 * tile.d_padded * at;
    const int n_steps = static_cast<int>(tile.d_padded) / 4;
    Isa::Bits8::Dot dot[Q];
    for (int q = 0; q < Q; ++q) dot[q] = Isa::Bits8::start(-Isa::kCodeBias * query[q].sum);
    for (int s = 0; s < n_steps; ++s) {
      const Isa::Bits8::Codes codes = Isa::Bits8::load(keys + 64 * s);
      for (int q = 0; q < Q; ++q) {
        const int8_t* query_codes = tile.codes + tile.d_padded * q;
        dot[q] = Isa::Bits8::step(dot[q], codes, Isa::load_inputs(query_codes + 4 * s));
      }
    }
    const auto* key_scales = reinterpret_cast<const float*>(page + cache.key_scales);
    const Isa::Floats key_scale = Isa::load(key_scales + 16 * at);
    for (int q = 0; q < Q; ++q) {
      const Isa::Floats scale = Isa::mul(key_scale, Isa::broadcast(query[q].scale));
      Isa::store(tile.scores + tile.scores_stride * q + 16 * b,
                 Isa::mul(Isa::Bits8::finish_long(dot[q]), scale));
    }
  }

  // The codes of query q's weights overwrite its scores: block b's 32 bytes come before all floats
  // that are still to be read.
  static void quantize_weights(const Tile& tile, const HeadCache& cache, int q, int n_blocks) {
    float* weights = tile.scores + tile.scores_stride * q;
    auto* codes = reinterpret_cast<int8_t*>(weights);
    const size_t first = tile.scores_stride / kBlockPositions * q;
    for (int b = 0; b < n_blocks; ++b) {
      const float* w = weights + kBlockPositions * b;
      const std::byte* page = cache.pages[b / kPageBlocks];
      const float* scales = reinterpret_cast<const float*>(page + cache.value_scales) +
                            kBlockPositions * (b % kPageBlocks);
      const Isa::Floats low = Isa::mul(Isa::load(w), Isa::load(scales));
      const Isa::Floats high = Isa::mul(Isa::load(w + 16), Isa::load(scales + 16));
      const float largest = Isa::max_lane(Isa::max(low, high));
      const Isa::Floats inverse = Isa::broadcast(inverse_scale(largest));
      int8_t* to = codes + kBlockPositions * b;
      quantize_16(low, inverse, to);
      quantize_16(high, inverse, to + 16);
      const auto [low_sum, high_sum] = Isa::sum_codes(to, to + 16);
      tile.scales[first + b] = largest / kLargestCode;
      tile.starts[first + b] = -Isa::kCodeBias * (low_sum + high_sum);
    }
  }

  // The weighted sum of the values, for Q queries and Vectors vectors of 16 dimensions from
  // `first` on. Masked positions have weights of zero.
  template <int Q, int Vectors>
  static void sum_values(const Tile& tile, const HeadCache& cache, int first, int n_blocks) {
    const size_t group_bytes = 4 * tile.d_padded;  // of four positions
    const size_t blocks_stride = tile.scores_stride / kBlockPositions;
    Isa::Floats sum[Q][Vectors];
    for (int q = 0; q < Q; ++q) {
      for (int v = 0; v < Vectors; ++v) sum[q][v] = Isa::broadcast(0.0f);
    }
    for (int b = 0; b < n_blocks; ++b) {
      const auto* values =
          reinterpret_cast<const uint8_t*>(cache.pages[b / kPageBlocks] + cache.values) +
          group_bytes * kBlockGroups * (b % kPageBlocks) + 64 * first;
      Isa::Bits8::Dot dot[Q][Vectors];
      for (int q = 0; q < Q; ++q) {
        const int32_t start = tile.starts[blocks_stride * q + b];
        for (int v = 0; v < Vectors; ++v) dot[q][v] = Isa::Bits8::start(start);
      }
      for (int g = 0; g < kBlockGroups; ++g, values += group_bytes) {
        for (int v = 0; v < Vectors; ++v) {
          const Isa::Bits8::Codes codes = Isa::Bits8::load(values + 64 * v);
          for (int q = 0; q < Q; ++q) {
            const auto* weights =
                reinterpret_cast<const int8_t*>(tile.scores + tile.scores_stride * q) +
                kBlockPositions * b;
            dot[q][v] = Isa::Bits8::step(dot[q][v], codes, Isa::load_inputs(weights + 4 * g));
          }
        }
      }
      for (int q = 0; q < Q; ++q) {
        const int32_t start = tile.starts[blocks_stride * q + b];
        const Isa::Floats scale = Isa::broadcast(tile.scales[blocks_stride * q + b]);
        for (int v = 0; v < Vectors; ++v) {
          sum[q][v] = Isa::fma(Isa::Bits8::finish(dot[q][v], start), scale, sum[q][v]);
        }
      }
    }
    for (int q = 0; q < Q; ++q) {
      for (int v = 0; v < Vectors; ++v) {
        Isa::store(tile.sums + tile.d_padded * q + 16 * (first + v), sum[q][v]);
      }
    }
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
