// Causal attention of one head over its cache.
//
// Scores, softmax and the weighted sum run over the positions in ascending order, whatever the
// number of queries in the call, so a row's result depends only on the positions it attends to.
#pragma once

#include "kernels/algorithms/attention_float.inl.h"
#include "kernels/algorithms/attention_int8.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

static_assert(Isa::kQueries <= kMaxQueryTile);

// A tile whose buffers are parts of the caller's scratch.
Tile working_tile(const AttentionArgs& args) {
  Tile tile{};
  tile.query_stride = args.query_stride;
  tile.out_stride = args.out_stride;
  tile.weights_stride = args.weights_stride;
  tile.d_padded = static_cast<size_t>(padded_to_16(args.cache.d_head));
  tile.scores_stride = static_cast<size_t>(padded_to_block(args.first_position + args.n_queries));
  const size_t n_blocks = kMaxQueryTile * tile.scores_stride / kBlockPositions;
  tile.sums = args.scratch;
  tile.scales = tile.sums + kMaxQueryTile * tile.d_padded;
  tile.starts = reinterpret_cast<int32_t*>(tile.scales + n_blocks);
  tile.codes = reinterpret_cast<int8_t*>(tile.starts + n_blocks);
  tile.scores = tile.scales + 2 * n_blocks + kMaxQueryTile * tile.d_padded / 4;
  return tile;
}

template <typename Attention>
void attend(const AttentionArgs& args) {
  Tile tile = working_tile(args);
  for (int i = 0; i < args.n_queries;) {
    tile.first_position = args.first_position + i;
    tile.query = args.queries + args.query_stride * i;
    tile.out = args.out + args.out_stride * i;
    if (args.weights != nullptr) tile.weights = args.weights + args.weights_stride * i;
    for (int next = i + Isa::kQueries; next < i + 2 * Isa::kQueries && next < args.n_queries;
         ++next) {
      prefetch_row(args.queries + args.query_stride * next, args.cache.d_head);
    }
    if (i + Isa::kQueries <= args.n_queries) {
      Attention::template run<Isa::kQueries>(tile, args.cache);
      i += Isa::kQueries;
    } else {
      Attention::template run<1>(tile, args.cache);
      i += 1;
    }
  }
}

void attention(const AttentionArgs& args) {
  switch (args.cache.type) {
    case CacheType::kF32:
      return attend<FloatAttention<F32Cache>>(args);
    case CacheType::kF16:
      return attend<FloatAttention<F16Cache>>(args);
    case CacheType::kInt8:
      return attend<Int8Attention>(args);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
