// Causal attention of one head over its cache, and the cache's filling.
//
// Scores, softmax and the weighted sum run over the positions in ascending order, whatever the
// number of queries in the call, so a row's result depends only on the positions it sees.
#pragma once

#include "kernels/algorithms/elementary.inl.h"
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

constexpr int padded_to_16(int n) { return (n + 15) / 16 * 16; }

// ---- filling the cache ----

// How a cache stores a number.
struct F32Number {
  using Bits = uint32_t;
  static void store(const float* x, Bits* out) {
    Isa::store(reinterpret_cast<float*>(out), Isa::load(x));
  }
};
struct F16Number {
  using Bits = uint16_t;
  static void store(const float* x, Bits* out) {
    Isa::store_f16(reinterpret_cast<uint8_t*>(out), Isa::load(x));
  }
};

// Converts 16 numbers at a time; what lies between n and the next multiple of 16 becomes zero.
template <typename Number>
void convert_row(const float* x, int n, typename Number::Bits* out) {
  int i = 0;
  for (; i + 16 <= n; i += 16) Number::store(x + i, out + i);
  if (i == n) return;
  float tail[16] = {};
  for (int j = 0; j < n - i; ++j) tail[j] = x[i + j];
  Number::store(tail, out + i);
}

constexpr int kMaxChunk = 128;  // dimensions of a key that are converted before they are spread

template <typename Number>
void append_row(const HeadCache& cache, const float* key, const float* value, int position) {
  using Bits = typename Number::Bits;
  const size_t d_padded = static_cast<size_t>(padded_to_16(cache.d_head));
  convert_row<Number>(value, cache.d_head,
                      reinterpret_cast<Bits*>(cache.values) + d_padded * position);
  Bits* column = reinterpret_cast<Bits*>(cache.keys) +
                 static_cast<size_t>(position / 16) * cache.d_head * 16 + position % 16;
  for (int d = 0; d < cache.d_head; d += kMaxChunk) {
    const int n = cache.d_head - d < kMaxChunk ? cache.d_head - d : kMaxChunk;
    Bits converted[kMaxChunk];
    convert_row<Number>(key + d, n, converted);
    for (int i = 0; i < n; ++i) column[16 * (d + i)] = converted[i];
  }
}

template <typename Number>
void append_rows(const AppendArgs& args) {
  for (int i = 0; i < args.n_rows; ++i) {
    append_row<Number>(args.cache, args.keys + args.stride * i, args.values + args.stride * i,
                       args.first_position + i);
  }
}

void append(const AppendArgs& args) {
  if (args.cache.type == CacheType::kF32) {
    append_rows<F32Number>(args);
  } else {
    append_rows<F16Number>(args);
  }
}

// ---- one tile of queries ----

struct Tile {
  int first_position;  // of the tile's first query
  const float* query;  // (n, query_stride)
  size_t query_stride;
  float* scores;  // (n, n_keys padded to 16)
  size_t scores_stride;
  float* sums;  // (n, d_head padded to 16)
  size_t sums_stride;
  int n_keys(int q) const { return first_position + q + 1; }
};

// Scores of Q queries against the keys of Blocks blocks of 16, from block `first` on.
template <typename Cache, int Q, int Blocks>
void score_blocks(const Tile& tile, const HeadCache& cache, int first, float scale) {
  const size_t block_bytes = Cache::kVector * cache.d_head;
  const std::byte* keys = cache.keys + block_bytes * first;
  Isa::Floats sum[Q][Blocks];
  for (int q = 0; q < Q; ++q) {
    for (int b = 0; b < Blocks; ++b) sum[q][b] = Isa::broadcast(0.0f);
  }
  for (int d = 0; d < cache.d_head; ++d) {
    for (int b = 0; b < Blocks; ++b) {
      const Isa::Floats key = Cache::load(keys + block_bytes * b + Cache::kVector * d);
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

// Turns n scores into weights e^(score - largest), zero past n, and returns their sum.
float exponentiate(float* scores, int n) {
  const int padded = padded_to_16(n);
  for (int i = n; i < padded; ++i) scores[i] = scores[n - 1];
  Isa::Floats largest = Isa::load(scores);
  for (int i = 16; i < padded; i += 16) largest = Isa::max(largest, Isa::load(scores + i));
  const Isa::Floats shift = Isa::broadcast(Isa::max_lane(largest));
  for (int i = 0; i < padded; i += 16) {
    Isa::store(scores + i, exponential(Isa::sub(Isa::load(scores + i), shift)));
  }
  for (int i = n; i < padded; ++i) scores[i] = 0.0f;
  Isa::Floats sum = Isa::broadcast(0.0f);
  for (int i = 0; i < padded; i += 16) sum = Isa::add(sum, Isa::load(scores + i));
  return Isa::sum(sum);
}

// The weighted sum of the values, for Q queries and Vectors vectors of 16 dimensions from
// `first` on. Each query adds the positions it sees, in ascending order.
template <typename Cache, int Q, int Vectors>
void sum_values(const Tile& tile, const HeadCache& cache, int first) {
  const size_t row_bytes = Cache::kVector * (padded_to_16(cache.d_head) / 16);
  const std::byte* values = cache.values + Cache::kVector * first;
  Isa::Floats sum[Q][Vectors];
  for (int q = 0; q < Q; ++q) {
    for (int v = 0; v < Vectors; ++v) sum[q][v] = Isa::broadcast(0.0f);
  }
  const int n_common = tile.n_keys(0);
  for (int j = 0; j < n_common; ++j) {
    for (int v = 0; v < Vectors; ++v) {
      const Isa::Floats value = Cache::load(values + row_bytes * j + Cache::kVector * v);
      for (int q = 0; q < Q; ++q) {
        const float weight = tile.scores[tile.scores_stride * q + j];
        sum[q][v] = Isa::fma(value, Isa::broadcast(weight), sum[q][v]);
      }
    }
  }
  for (int q = 1; q < Q; ++q) {
    for (int j = n_common; j < tile.n_keys(q); ++j) {
      const Isa::Floats weight = Isa::broadcast(tile.scores[tile.scores_stride * q + j]);
      for (int v = 0; v < Vectors; ++v) {
        const Isa::Floats value = Cache::load(values + row_bytes * j + Cache::kVector * v);
        sum[q][v] = Isa::fma(value, weight, sum[q][v]);
      }
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int v = 0; v < Vectors; ++v) {
      Isa::store(tile.sums + tile.sums_stride * q + 16 * (first + v), sum[q][v]);
    }
  }
}

// Few queries leave registers for several blocks of keys at a time, which hides the latency of the
// multiply-adds; many queries fill the registers by themselves.
template <typename Cache, int Q>
void attend_tile(const Tile& tile, const HeadCache& cache, float* out, size_t out_stride) {
  constexpr int kWide = Q < 4 ? 4 / Q : 1;
  const int n_blocks = padded_to_16(tile.n_keys(Q - 1)) / 16;
  const float scale = 1.0f / Isa::sqrt_lane(static_cast<float>(cache.d_head));
  int b = 0;
  for (; b + kWide <= n_blocks; b += kWide) score_blocks<Cache, Q, kWide>(tile, cache, b, scale);
  for (; b < n_blocks; ++b) score_blocks<Cache, Q, 1>(tile, cache, b, scale);

  float total[Q];
  for (int q = 0; q < Q; ++q) {
    total[q] = exponentiate(tile.scores + tile.scores_stride * q, tile.n_keys(q));
  }

  const int n_vectors = padded_to_16(cache.d_head) / 16;
  int v = 0;
  for (; v + kWide <= n_vectors; v += kWide) sum_values<Cache, Q, kWide>(tile, cache, v);
  for (; v < n_vectors; ++v) sum_values<Cache, Q, 1>(tile, cache, v);

  for (int q = 0; q < Q; ++q) {
    const float* sums = tile.sums + tile.sums_stride * q;
    for (int d = 0; d < cache.d_head; ++d) out[out_stride * q + d] = sums[d] / total[q];
  }
}

template <typename Cache>
void attend(const AttentionArgs& args) {
  static_assert(Isa::kQueries <= kMaxQueryTile);
  const size_t d_padded = static_cast<size_t>(padded_to_16(args.cache.d_head));
  Tile tile;
  tile.query_stride = args.query_stride;
  tile.sums = args.scratch;
  tile.sums_stride = d_padded;
  tile.scores = args.scratch + kMaxQueryTile * d_padded;
  tile.scores_stride = padded_to_16(args.first_position + args.n_queries);
  for (int i = 0; i < args.n_queries;) {
    tile.first_position = args.first_position + i;
    tile.query = args.queries + args.query_stride * i;
    float* out = args.out + args.out_stride * i;
    if (i + Isa::kQueries <= args.n_queries) {
      attend_tile<Cache, Isa::kQueries>(tile, args.cache, out, args.out_stride);
      i += Isa::kQueries;
    } else {
      attend_tile<Cache, 1>(tile, args.cache, out, args.out_stride);
      i += 1;
    }
  }
}

void attention(const AttentionArgs& args) {
  if (args.cache.type == CacheType::kF32) {
    attend<F32Cache>(args);
  } else {
    attend<F16Cache>(args);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
