// Causal attention of a head over its cache.
//
// Scores, softmax and the weighted sum run over the positions in ascending order, whatever the
// number of queries or heads in the call, so a row's result depends only on the positions it
// attends to.
#pragma once

#include "kernels/algorithms/attention_codes.inl.h"
#include "kernels/algorithms/attention_float.inl.h"
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
  tile.codes = reinterpret_cast<std::byte*>(tile.starts + n_blocks);
  tile.scores = tile.scales + 2 * n_blocks + kMaxQueryTile * tile.d_padded / 2;
  return tile;
}

template <typename Attention>
void finish(const Attention& attention) {
  for (int q = 0; q < Attention::kQueries; ++q) {
    divide(attention.tile, attention.cache.d_head, q, attention.total[q]);
  }
}

// One tile of queries of one head.
template <typename Attention>
void attend_tile(const Tile& tile, const HeadCache& cache) {
  Attention attention;
  attention.start(tile, cache);
  const int end = tile.n_keys(Attention::kQueries - 1);
  attention.score(0, end);
  attention.weigh();
  attention.add_values(0, end);
  finish(attention);
}

template <template <int> typename Attention>
void attend_queries(const AttentionArgs& args) {
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
      attend_tile<Attention<Isa::kQueries>>(tile, args.cache);
      i += Isa::kQueries;
    } else {
      attend_tile<Attention<1>>(tile, args.cache);
      i += 1;
    }
  }
}

// The tile of a head's one query: its buffers are those of another head's query.
Tile tile_of_head(const AttentionArgs& args, int head) {
  Tile tile = working_tile(args);
  const size_t n_blocks = tile.scores_stride / kBlockPositions;
  tile.first_position = args.first_position;
  tile.query = args.queries + args.cache.d_head * head;
  tile.out = args.out + args.cache.d_head * head;
  tile.scores += tile.scores_stride * head;
  tile.scales += n_blocks * head;
  tile.starts += n_blocks * head;
  tile.sums += tile.d_padded * head;
  tile.codes += 2 * tile.d_padded * head;
  return tile;
}

// One query of several heads, a page at a time.
template <typename Attention>
void attend_heads(const AttentionArgs& args) {
  Attention heads[kMaxQueryTile];
  const int n_heads = args.n_heads, n_keys = args.first_position + 1;
  for (int h = 0; h < n_heads; ++h) {
    heads[h].start(tile_of_head(args, h), head_behind(args.cache, static_cast<size_t>(h)));
  }
  const auto end_of = [&](int page) {
    return page + kPagePositions < n_keys ? page + kPagePositions : n_keys;
  };
  for (int page = 0; page < n_keys; page += kPagePositions) {
    for (int h = 0; h < n_heads; ++h) heads[h].score(page, end_of(page));
  }
  for (int h = 0; h < n_heads; ++h) heads[h].weigh();
  for (int page = 0; page < n_keys; page += kPagePositions) {
    for (int h = 0; h < n_heads; ++h) heads[h].add_values(page, end_of(page));
  }
  for (int h = 0; h < n_heads; ++h) finish(heads[h]);
}

template <template <int> typename Attention>
void attend(const AttentionArgs& args) {
  if (args.n_heads > 1) {
    attend_heads<Attention<1>>(args);
  } else {
    attend_queries<Attention>(args);
  }
}

template <int Q>
using F32Attention = FloatAttention<F32Cache, Q>;
template <int Q>
using F16Attention = FloatAttention<F16Cache, Q>;
template <int Q>
using Int8Attention = CodesAttention<Int8Codes, Q>;
template <int Q>
using Int16Attention = CodesAttention<Int16Codes, Q>;

void attention(const AttentionArgs& args) {
  switch (args.cache.type) {
    case CacheType::kF32:
      return attend<F32Attention>(args);
    case CacheType::kF16:
      return attend<F16Attention>(args);
    case CacheType::kInt8:
      return attend<Int8Attention>(args);
    case CacheType::kInt16:
      return attend<Int16Attention>(args);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
