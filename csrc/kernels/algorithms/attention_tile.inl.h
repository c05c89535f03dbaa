// The unit of work of attention: a few queries of one head, at consecutive positions.
#pragma once

#include "kernels/algorithms/softmax.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

struct Tile {
  int first_position;  // of the tile's first query
  const float* query;  // (n, query_stride)
  size_t query_stride;
  float* out;  // (n, out_stride), d_head of each
  size_t out_stride;
  float* weights;  // (n, weights_stride) output of the attention weights, or null
  size_t weights_stride;
  // Intermediate buffers:
  float* scores;  // (n, scores_stride)
  size_t scores_stride;
  float* sums;       // (n, d_padded)
  std::byte* codes;  // 2 * d_padded bytes of each query
  float* scales;     // (n, scores_stride / kBlockPositions)
  int32_t* starts;   // likewise
  size_t d_padded;   // d_head, padded to 16
  int n_keys(int q) const { return first_position + q + 1; }
};

// Writes the attention weights of query q: its exponentials over their sum `total`.
void store_weights(const Tile& tile, int q, float total) {
  const float* scores = tile.scores + tile.scores_stride * q;
  float* weights = tile.weights + tile.weights_stride * q;
  const size_t n = static_cast<size_t>(tile.n_keys(q));
  for (size_t j = 0; j < n; ++j) weights[j] = scores[j] / total;
  for (size_t j = n; j < tile.weights_stride; ++j) weights[j] = 0.0f;
}

// What the positions before `begin` have added to a vector of query q's sums.
GPT2EDGE_INLINE Isa::Floats sums_so_far(const Tile& tile, int begin, int q, int vector) {
  if (begin == 0) return Isa::broadcast(0.0f);
  return Isa::load(tile.sums + tile.d_padded * q + 16 * vector);
}

// out = sums / total
void divide(const Tile& tile, int d_head, int q, float total) {
  const float* sums = tile.sums + tile.d_padded * q;
  float* out = tile.out + tile.out_stride * q;
  for (int d = 0; d < d_head; ++d) out[d] = sums[d] / total;
}

}  // namespace
}  // namespace gpt2edge::kernels
