// A tile of queries over a cache of integer codes.
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

template <typename Kind, int Q>
struct CodesAttention {
  static constexpr int kQueries = Q;

  void start(const Tile& of, const HeadCache& head) {
    tile = of;
    cache = head;
    const float root = Isa::sqrt_lane(static_cast<float>(cache.d_head));
    const float largest_code = Kind::largest_in_keys(cache.d_head);
    for (int q = 0; q < Q; ++q) {
      std::byte* to = tile.codes + 4 * q;
      query[q] = quantize_vector<Kind>(tile.query + tile.query_stride * q, cache.d_head,
                                       largest_code, [&](int d, const Code* codes) {
                                         for (int i = 0; i < 16; i += kStep)
                                           memcpy(to + 4 * Q * ((d + i) / kStep), codes + i, 4);
                                       });
      query[q].scale /= root;
    }
  }

  // The scores of the keys at positions [begin, end); begin is a page's first.
  void score(int begin, int end) const {
    const int n_blocks = padded_to_block(end) / 16;
    int b = begin / 16;
    // Memory gives up the keys that a single query reads fastest in their order.
    constexpr int kBlocks = Q == 1 ? 1 : kWide;
    for (; b + kBlocks <= n_blocks; b += kBlocks) score_blocks<kBlocks>(b);
    for (; b < n_blocks; ++b) score_blocks<1>(b);
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
    const int n_vectors = static_cast<int>(tile.d_padded) / 16;
    int v = 0;
    for (; v + kWide <= n_vectors; v += kWide) sum_values<kWide>(begin, end, v);
    for (; v < n_vectors; ++v) sum_values<1>(begin, end, v);
  }

  Tile tile;
  HeadCache cache;
  float total[Q];

 private:
  using Code = typename Kind::Code;
  using Bits = typename Kind::Bits;

  QuantizedVector query[Q];

  // With few queries the registers hold the sums of several vectors of codes at a time.
  static constexpr int kWide = Q >= Isa::kSums ? 1 : Isa::kSums / Q > 4 ? 4 : Isa::kSums / Q;
  static constexpr int kStep = Kind::kStep;
  static constexpr int kPageBlocks = kPagePositions / kBlockPositions;
  static constexpr int kBlockSteps = kBlockPositions / kStep;
  static constexpr int kUnrolled = 4;

  // Scores of Q queries against 16 keys, or Blocks times as many, from the first-th 16 on, all of
  // one page. A query's scale is already over sqrt(d_head).
  template <int Blocks>
  void score_blocks(int first) const {
    constexpr int kPageBlocksOf16 = kPagePositions / 16;
    static_assert(kPageBlocksOf16 % Blocks == 0);
    const std::byte* page = cache.pages[first / kPageBlocksOf16];
    const size_t at = static_cast<size_t>(first % kPageBlocksOf16);
    const size_t block_bytes = 16 * sizeof(Code) * tile.d_padded;
    const auto* keys = reinterpret_cast<const uint8_t*>(page + cache.keys) + block_bytes * at;
    const auto* queries = reinterpret_cast<const Code*>(tile.codes);
    const int n_steps = static_cast<int>(tile.d_padded) / kStep;
    typename Bits::Dot dot[Q][Blocks];
    for (int q = 0; q < Q; ++q) {
      for (int b = 0; b < Blocks; ++b) dot[q][b] = Bits::start(query[q].start);
    }
    for (int s = 0; s < n_steps; ++s, keys += 64, queries += kStep * Q) {
      typename Bits::Codes codes[Blocks];
      for (int b = 0; b < Blocks; ++b) codes[b] = Bits::load(keys + block_bytes * b);
      for (int q = 0; q < Q; ++q) {
        const auto inputs = Isa::load_inputs(queries + kStep * q);
        for (int b = 0; b < Blocks; ++b) dot[q][b] = Bits::step(dot[q][b], codes[b], inputs);
      }
    }
    const float* key_scales = reinterpret_cast<const float*>(page + cache.key_scales) + 16 * at;
    for (int b = 0; b < Blocks; ++b) {
      const Isa::Floats key_scale = Isa::load(key_scales + 16 * b);
      for (int q = 0; q < Q; ++q) {
        const Isa::Floats scale = Isa::mul(key_scale, Isa::broadcast(query[q].scale));
        Isa::store(tile.scores + tile.scores_stride * q + 16 * (first + b),
                   Isa::mul(Bits::finish_long(dot[q][b]), scale));
      }
    }
  }

  // The codes of query q's weights overwrite its scores: block b's bytes come before all floats
  // that are still to be read.
  void quantize_weights(int q, int n_blocks) {
    constexpr float kLargest = Kind::kLargestInValues;
    float* weights = tile.scores + tile.scores_stride * q;
    auto* codes = reinterpret_cast<Code*>(weights);
    const size_t first = tile.scores_stride / kBlockPositions * q;
    for (int b = 0; b < n_blocks; ++b) {
      const float* w = weights + kBlockPositions * b;
      const std::byte* page = cache.pages[b / kPageBlocks];
      const float* scales = reinterpret_cast<const float*>(page + cache.value_scales) +
                            kBlockPositions * (b % kPageBlocks);
      const Isa::Floats low = Isa::mul(Isa::load(w), Isa::load(scales));
      const Isa::Floats high = Isa::mul(Isa::load(w + 16), Isa::load(scales + 16));
      const float largest = Isa::max_lane(Isa::max(low, high));
      const Isa::Floats inverse = Isa::broadcast(inverse_scale(largest, kLargest));
      Code* to = codes + kBlockPositions * b;
      quantize_16<Kind>(low, inverse, kLargest, to);
      quantize_16<Kind>(high, inverse, kLargest, to + 16);
      tile.scales[first + b] = largest / kLargest;
      tile.starts[first + b] = Kind::start(to) + Kind::start(to + 16);
    }
  }

  // The weighted sum of the values at positions [begin, end), added to that of the positions
  // before, for Q queries and Vectors vectors of 16 dimensions from `first` on. Masked positions
  // have weights of zero.
  template <int Vectors>
  void sum_values(int begin, int end, int first) const {
    const int n_blocks = padded_to_block(end) / kBlockPositions;
    float* sums = tile.sums + 16 * first;
    for (int q = 0; q < Q && begin == 0; ++q) {
      for (int v = 0; v < Vectors; ++v) {
        Isa::store(sums + tile.d_padded * q + 16 * v, Isa::broadcast(0.0f));
      }
    }
    for (int b = begin / kBlockPositions; b < n_blocks; ++b) add_block<Vectors>(b, first, sums);
  }

  // Block b's part of it. The registers are for the sums of integers: those of floats stay in
  // memory.
  template <int Vectors>
  GPT2EDGE_INLINE void add_block(int b, int first, float* sums) const {
    const size_t step_bytes = 4 * tile.d_padded;
    const size_t blocks_stride = tile.scores_stride / kBlockPositions;
    const auto* values =
        reinterpret_cast<const uint8_t*>(cache.pages[b / kPageBlocks] + cache.values) +
        step_bytes * kBlockSteps * (b % kPageBlocks) + 64 * first;
    const Code* weights[Q];
    typename Bits::Dot dot[Q][Vectors];
    for (int q = 0; q < Q; ++q) {
      const int32_t start = tile.starts[blocks_stride * q + b];
      for (int v = 0; v < Vectors; ++v) dot[q][v] = Bits::start(start);
      weights[q] =
          reinterpret_cast<const Code*>(tile.scores + tile.scores_stride * q) + kBlockPositions * b;
    }
    for (int s = 0; s < kBlockSteps; s += kUnrolled) {
      GPT2EDGE_UNROLL
      for (int i = s; i < s + kUnrolled; ++i, values += step_bytes) {
        typename Bits::Codes codes[Vectors];
        for (int v = 0; v < Vectors; ++v) codes[v] = Bits::load(values + 64 * v);
        for (int q = 0; q < Q; ++q) {
          const auto inputs = Isa::load_inputs(weights[q] + kStep * i);
          for (int v = 0; v < Vectors; ++v) dot[q][v] = Bits::step(dot[q][v], codes[v], inputs);
        }
      }
    }
    for (int q = 0; q < Q; ++q) {
      const int32_t start = tile.starts[blocks_stride * q + b];
      const Isa::Floats scale = Isa::broadcast(tile.scales[blocks_stride * q + b]);
      for (int v = 0; v < Vectors; ++v) {
        float* sum = sums + tile.d_padded * q + 16 * v;
        Isa::store(sum, Isa::fma(Bits::finish(dot[q][v], start), scale, Isa::load(sum)));
      }
    }
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
