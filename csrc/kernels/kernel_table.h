// The kernels' interface to the rest of the program: one table of functions per instruction set,
// all with bit-identical results.
//
// Arguments are plain pointers and sizes. Callers guarantee the preconditions; kernels cannot fail,
// allocate nothing and may be called from many threads on disjoint ranges. Rows of floats that a
// kernel writes have room for a multiple of 16.
#pragma once

#include "kernels/panel.h"

namespace gpt2edge::kernels {

// Rows of activations as int8 codes: value = scale * code, a scale per row and 32 inputs ("a
// block").
//
// Rows lie in tiles of `tile` rows, the last tile of those that remain. In a tile of w rows:
//
//   codes   [step of 4 inputs][w rows][4]
//   scales  [block][w], and likewise the other arrays
//
// so that a tile's kernel reads one contiguous stream, with fixed distances between rows.
constexpr int kMaxTile = 8;
struct QuantizedRows {
  int tile;            // at most kMaxTile
  int8_t* codes;       // n_rows * n_in, then 4 bytes that may be read
  float* scales;       // n_rows * n_in / 32
  int32_t* sums;       // n_rows * n_in / 16: of the codes of inputs 0..15, then of 16..31
  int32_t* starts8;    // n_rows * n_in / 32: minus the table's code_bias times the block's sum
  int32_t* starts4;    // n_rows * n_in / 32: minus 8 times the block's sum
  float* scaled_sums;  // n_rows * n_in / 32: the block's sum times its scale
};

enum class Epilogue : uint8_t {
  kBias,       // out = x W^T + bias
  kGeluTanh,   // out = gelu(x W^T + bias), GPT-2's form by tanh
  kGeluErf,    // the same by erf
  kQuickGelu,  // x sigmoid(1.702 x) of it
  kSilu,       // x sigmoid(x)
  kRelu,       // max(x, 0)
  kTanh,       // tanh(x)
  kResidual,   // out += x W^T + bias
};

// out[i, r] for rows i of activations and the weight rows r of panels [first_panel, last_panel).
// Per output: integers accumulate exactly inside a scale group; groups accumulate in float, in
// ascending order, by fused multiply-adds. Float forms accumulate over inputs in ascending order.
struct MatmulArgs {
  PackedMatrix weights;
  const float* values;  // float forms: (n_rows, values_stride)
  size_t values_stride;
  QuantizedRows quantized;  // integer forms
  int n_rows;
  int first_panel, last_panel;
  const float* bias;  // (16 * panels) or null
  Epilogue epilogue;
  float* out;  // (n_rows, out_stride), or null:
  size_t out_stride;
  // then the outputs are quantized, as quantize_tile does. n_out is a multiple of 32 and
  // first_panel and last_panel are even; not for kResidual.
  QuantizedRows out_codes = {};
  // Of each row's outputs, 32 at a time, the greatest, or NaN where one is not finite; the padding
  // of the last panel counts as well. (n_rows, maxima_stride), or null.
  float* maxima = nullptr;
  size_t maxima_stride = 0;
  // matmul_scratch(n_in) bytes, which may make many rows faster, or null.
  uint8_t* scratch = nullptr;
  // The panel that the caller is likely to compute next, to be prefetched, or -1.
  int next_panel = -1;
  // Whether to prefetch weights that a single tile of rows reads, too.
  bool prefetch_stream = false;
};

// Quantizes one tile of rows, or some of their inputs.
struct QuantizeArgs {
  const float* values;  // (n_rows, stride)
  size_t stride;
  int n_rows, n_in;   // n_in a multiple of 32
  int first_row;      // the tile's place among all rows, a multiple of out.tile
  QuantizedRows out;  // of all rows
  // Where these are not all inputs: which is the first of them, a multiple of 32, of how many.
  int first_in = 0, all_in = 0;
};

// (x - mean) / sqrt(variance + epsilon) * gain + bias, a row at a time.
struct LayerNormArgs {
  const float* values;  // (n_rows, stride)
  size_t stride;
  int n_rows, n;
  const float* gain;  // (n)
  const float* bias;  // (n)
  float epsilon;
  float* out;  // (n_rows, out_stride)
  size_t out_stride;
};

enum class CacheType : uint8_t { kF32, kF16, kInt8, kInt16 };

// Positions whose attention weights share a scale in a cache of codes.
constexpr int kBlockPositions = 32;

// Positions of a page, the unit in which sequences take and share memory.
constexpr int kPagePositions = 64;
static_assert(kPagePositions % kBlockPositions == 0);

// Keys and values of one head, in pages that many heads have parts of. As floats, a page's keys are
// stored [d][position], so that scores are computed side by side and one query reads them in order;
// its values [position][d], each row padded to 16.
//
// As integer codes, with a scale for each position, both are stored in the order of the dot
// products of n = 4 codes of 8 bits or n = 2 of 16, d padded to 16: keys [position / 16][d /
// n][position % 16][d % n], values [position / n][d][position % n]. The table's code_bias is added
// to every code of 8 bits.
struct HeadCache {
  std::byte* const* pages;  // positions 0..63, 64..127 ...
  // Offsets of this head's parts in every page, in bytes:
  size_t keys, values;
  size_t key_scales, value_scales;  // of codes only: a float for each position
  int d_head;
  CacheType type;
};

// The size of one head's parts in a page. Heads of a layer lie side by side: the keys of all, the
// values of all, and where they are codes the scales of either.
struct HeadBytes {
  size_t keys, values, scales;
};
constexpr HeadBytes head_bytes(CacheType type, int d_head) {
  const size_t d = static_cast<size_t>(d_head), d_padded = (d + 15) / 16 * 16;
  constexpr size_t kPositions = kPagePositions;
  switch (type) {
    case CacheType::kF32:
      return {kPositions * d * 4, kPositions * d_padded * 4, 0};
    case CacheType::kF16:
      return {kPositions * d * 2, kPositions * d_padded * 2, 0};
    case CacheType::kInt8:
      return {kPositions * d_padded, kPositions * d_padded, kPositions * sizeof(float)};
    case CacheType::kInt16:
      return {kPositions * d_padded * 2, kPositions * d_padded * 2, kPositions * sizeof(float)};
  }
  return {};
}

// The head that stands n places behind another one of its layer.
constexpr HeadCache head_behind(HeadCache head, size_t n) {
  const HeadBytes bytes = head_bytes(head.type, head.d_head);
  head.keys += bytes.keys * n;
  head.values += bytes.values * n;
  head.key_scales += bytes.scales * n;
  head.value_scales += bytes.scales * n;
  return head;
}

// Stores rows of K and V at consecutive positions.
struct AppendArgs {
  HeadCache cache;
  const float* keys;    // (n_rows, stride), d_head of each
  const float* values;  // (n_rows, stride), d_head of each
  size_t stride;
  int n_rows, first_position;
};

// Causal attention of one head: query i is at first_position + i and attends to the positions up to
// its own. Scores are (q . k) / sqrt(d_head).
//
// One query can be computed for several heads, this one and those beside it: all of them read a
// page before the next one, in longer runs, which memory gives up to twice as fast.
struct AttentionArgs {
  HeadCache cache;
  const float* queries;  // (n_queries, query_stride), d_head of each
  size_t query_stride;
  int n_queries, first_position;
  float* scratch;  // attention_scratch(n_ctx, d_head) floats
  float* out;      // (n_queries, out_stride), d_head of each
  size_t out_stride;
  // Output of the attention weights (the softmax): (n_queries, weights_stride), or null. Each row
  // is filled, with zeros for masked positions; the stride is at least first_position + n_queries
  // and need not be a multiple of 16. With a cache of codes they are the weights before
  // quantization.
  float* weights = nullptr;
  size_t weights_stride = 0;
  // At most kMaxQueryTile, of which each has its query and its output d_head floats behind those of
  // the one before. More than one only with one query and without `weights`.
  int n_heads = 1;
};

constexpr int kMaxQueryTile = 8;
// Floats: per query its scores, their scales and starts by block, its sums and its codes.
constexpr size_t attention_scratch(size_t n_ctx, size_t d_head) {
  const size_t positions = (n_ctx + kBlockPositions - 1) / kBlockPositions * kBlockPositions;
  const size_t d_padded = (d_head + 15) / 16 * 16;
  return kMaxQueryTile * (positions + 2 * positions / kBlockPositions + d_padded + d_padded / 2);
}

struct KernelTable {
  const char* name;
  int code_bias;   // what pack_panel adds to 8-bit codes for this table
  int max_tokens;  // rows of activations in a full tile
  void (*matmul)(const MatmulArgs&);
  void (*quantize_tile)(const QuantizeArgs&);
  void (*layer_norm)(const LayerNormArgs&);
  void (*append)(const AppendArgs&);
  void (*attention)(const AttentionArgs&);
  // For measuring the machine (limits.h):
  int codes_per_round;  // multiply-adds of a round
  // Of codes held in registers, for up to 2^17 rounds; returns 4 * rounds.
  int32_t (*multiply_codes)(int rounds);
  float (*sum_floats)(const float* x, size_t n, bool prefetch);  // n a multiple of 64
};

}  // namespace gpt2edge::kernels
