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

template <int Q>
struct Int8Attention {
  static constexpr int kQueries = Q;

  void start(const Tile& of, const HeadCache& head) {
    tile = of;
    cache = head;
    const float root = Isa::sqrt_lane(static_cast<float>(cache.d_head));
    for (int q = 0; q < Q; ++q) {
      int8_t* to = tile.codes + tile.d_padded * q;
      query[q] = quantize_vector(tile.query + tile.query_stride * q, cache.d_head,
                                 [&](int d, const int8_t* codes) { memcpy(to + d, codes, 16); });
      query[q].scale /= root;
    }
  }

  // The scores of the keys at positions [begin, end); begin is a page's first.
  void score(int begin, int end) const {
    for (int b = begin / 16; b < padded_to_block(end) / 16; ++b) score_block(b);
  }

  // The softmax of all scores.
  void weigh() {
    const int n_blocks = padded_to_block(tile.n_keys(Q - 1)) / kBlockPositions;
    for (int q = 0; q < Q; ++q) {
      total[q] = exponentiate(tile.scores + tile.scores_stride * q, tile.n_keys(q),
                              n_blocks * kBlockPositions);
      if (tile.weights != nullptr) store_weights(tile, q, total[q]);
      quantize_weights(q, n_blocks);
    }
  }

  // Adds the values at positions [begin, end).
  void add_values(int begin, int end) const {
    constexpr int kWide = Q < 4 ? 4 / Q : 1;
    const int n_vectors = static_cast<int>(tile.d_padded) / 16;
    int v = 0;
    for (; v + kWide <= n_vectors; v += kWide) sum_values<kWide>(begin, end, v);
    for (; v < n_vectors; ++v) sum_values<1>(begin, end, v);
  }

  Tile tile;
  HeadCache cache;
  float total[Q];

 private:
  QuantizedVector query[Q];

  static constexpr int kPageBlocks = kPagePositions / kBlockPositions;
  static constexpr int kBlockGroups = kBlockPositions / 4;

  // Scores of Q queries against 16 keys, the b-th such group. A query's scale is already over
  // sqrt(d_head).
  void score_block(int b) const {
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
  void quantize_weights(int q, int n_blocks) {
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

  // The weighted sum of the values at positions [begin, end), added to that of the positions
  // before, for Q queries and Vectors vectors of 16 dimensions from `first` on. Masked positions
  // have weights of zero.
  template <int Vectors>
  void sum_values(int begin, int end, int first) const {
    const int n_blocks = padded_to_block(end) / kBlockPositions;
    const size_t group_bytes = 4 * tile.d_padded;  // of four positions
    const size_t blocks_stride = tile.scores_stride / kBlockPositions;
    Isa::Floats sum[Q][Vectors];
    for (int q = 0; q < Q; ++q) {
      for (int v = 0; v < Vectors; ++v) sum[q][v] = sums_so_far(tile, begin, q, first + v);
    }
    for (int b = begin / kBlockPositions; b < n_blocks; ++b) {
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
