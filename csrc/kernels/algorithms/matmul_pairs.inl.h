// Many rows of activations times 8-bit codes, where bytes multiply only with detours: Winograd's
// inner product (1968),
//
//   w0 x0 + w1 x1 = (w0 + x1) (w1 + x0) - w0 w1 - x0 x1,
//
// one multiplication of 16-bit numbers for two inputs. The products on the right, of weights alone
// and of activations alone, are computed once for each.
//
// The weights are widened to 16 bits, as many inputs at a time as stay in the first-level cache
// while all rows pass over them. Results are bit-identical to IntegerTile's: the integers are exact
// and the floats accumulate in the same order.
#pragma once

#include "kernels/algorithms/epilogue.inl.h"
#include "kernels/algorithms/matmul_tile.inl.h"
#include "kernels/algorithms/row_tiles.inl.h"

namespace gpt2edge::kernels {
namespace {

constexpr int kChunkBlocks = 8;  // of inputs, widened at a time; a multiple of any unit's
constexpr int kPassRows = 128;   // that pass over a chunk

// A block of a panel.
struct WideBlock {
  float scales[kPanelRows];
  int32_t starts[kPanelRows];  // minus the products of the pairs
  uint8_t codes[8][128];       // 16 bits each, as Isa::Pairs wants them
};

struct PairsScratch {
  WideBlock weights[kBlockPanels][kChunkBlocks];
  uint8_t inputs[2 * kBlockInputs * kChunkBlocks * Isa::kMaxTokens];
  float sums[kPanelRows * kBlockPanels * kPassRows];
};

// ---- widening ----

template <typename Pairs, typename Form>
void widen_block(const Block& block, WideBlock& out) {
  using Codes = typename Form::Codes;
  using Rows = Isa::Rows<typename Codes::Bits, 1>;
  constexpr int kLoads = Codes::kHighStep == 0 ? 8 : Codes::kHighStep;
  typename Pairs::Sums starts = Pairs::zero();
  for (int s = 0; s < kLoads; ++s) {
    typename Rows::Codes low, high;
    Codes::template load<Rows, 0>(block, 0, s, low, high);
    Pairs::widen(low, out.codes[s], starts);
    if constexpr (Codes::kHighStep > 0) Pairs::widen(high, out.codes[s + Codes::kHighStep], starts);
  }
  Pairs::store(out.starts, starts);
  Isa::store(out.scales, Form::scale(block, 0, 0));
}

// `n` blocks of a panel, from block `first` on, a whole unit's first.
template <typename Pairs, typename Form>
void widen_chunk(const PackedMatrix& weights, int panel, int first, int n, WideBlock* out) {
  using Packed = IntegerTile<Form>;
  static_assert(kChunkBlocks % Form::kUnitBlocks == 0);
  constexpr size_t kChunkBytes = kChunkBlocks / Form::kUnitBlocks * Packed::kUnitBytes;
  const CodeTable table(weights.layout);
  Block block = {};
  block.table = table.code;
  block.unit = weights.panels + weights.layout.panel_bytes * (panel - weights.first_panel) +
               first / Form::kUnitBlocks * Packed::kUnitBytes;
  for (int b = 0; b < n; ++b) {
    const int i = b % Form::kUnitBlocks;
    block.scales = block.unit + Form::kScalesOffset + Form::kScaleBytes * i;
    block.codes = block.unit + Packed::kCodesOffset + Form::Codes::kBytes * i;
    for (size_t at = 0; at < Form::Codes::kBytes; at += 64) {
      GPT2EDGE_PREFETCH_L2(block.codes + kChunkBytes + at);
    }
    widen_block<Pairs, Form>(block, out[b]);
    if (i == Form::kUnitBlocks - 1) block.unit += Packed::kUnitBytes;
  }
}

// ---- a tile ----

// sums += T rows of activations times a chunk of one panel.
template <typename Pairs, int T>
GPT2EDGE_NOINLINE void add_chunk(const WideBlock* weights, const uint8_t* x, const float* x_scales,
                                 const int32_t* x_starts, int n_blocks, float* sums) {
  Isa::Floats sum[T];
  for (int t = 0; t < T; ++t) sum[t] = Isa::load(sums + kPanelRows * t);
  for (const WideBlock* end = weights + n_blocks; weights < end; ++weights) {
    typename Pairs::Sums pairs[T];
    for (int t = 0; t < T; ++t) pairs[t] = Pairs::start(weights->starts, x_starts[t]);
    for (int s = 0; s < 8; ++s) {
      const typename Pairs::Codes codes = Pairs::load(weights->codes[s]);
      for (int t = 0; t < T; ++t)
        Pairs::step(pairs[t], codes, x + 4 * (T * s + t), kBlockInputs * T);
    }
    Isa::Floats dot[T];
    for (int t = 0; t < T; ++t) dot[t] = Pairs::finish(pairs[t]);
    add_scaled<T>(dot, Isa::load(weights->scales), x_scales, sum);
    x += 2 * kBlockInputs * T;
    x_scales += T;
    x_starts += T;
  }
  for (int t = 0; t < T; ++t) Isa::store(sums + kPanelRows * t, sum[t]);
}

template <int P, int T>
GPT2EDGE_NOINLINE void finish_pairs(const MatmulArgs& args, int panel, int row, const float* sums) {
  Isa::Floats sum[P][T];
  for (int p = 0; p < P; ++p) {
    for (int t = 0; t < T; ++t) sum[p][t] = Isa::load(sums + kPanelRows * (T * p + t));
  }
  finish<P, T>(args, panel, row, sum);
}

// ---- all rows over a range of panels ----

// Rows [row, end) over P panels.
template <typename Pairs, typename Form, int P>
void pass_rows(const MatmulArgs& args, int panel, int first_row, int end) {
  auto& scratch = *reinterpret_cast<PairsScratch*>(args.scratch);
  const QuantizedRows& rows = args.quantized;
  const int n_blocks = args.weights.layout.n_in / kBlockInputs;
  memset(scratch.sums, 0, sizeof(float) * kPanelRows * P * (end - first_row));
  for (int b = 0; b < n_blocks; b += kChunkBlocks) {
    const int n = n_blocks - b < kChunkBlocks ? n_blocks - b : kChunkBlocks;
    for (int p = 0; p < P; ++p) {
      widen_chunk<Pairs, Form>(args.weights, panel + p, b, n, scratch.weights[p]);
    }
    each_tile(first_row, end, [&](auto width, int row) {
      constexpr int T = decltype(width)::value;
      const bool is_last = b + n == n_blocks;
      if (is_last) prefetch_outputs<P, T>(args, panel, row);
      const size_t at = static_cast<size_t>(row) * n_blocks + static_cast<size_t>(b) * T;
      float* sums = scratch.sums + kPanelRows * P * (row - first_row);
      Pairs::template widen_inputs<T>(rows.codes + at * kBlockInputs, n, scratch.inputs);
      for (int p = 0; p < P; ++p) {
        add_chunk<Pairs, T>(scratch.weights[p], scratch.inputs, rows.scales + at, rows.starts8 + at,
                            n, sums + kPanelRows * T * p);
      }
      if (is_last) finish_pairs<P, T>(args, panel, row, sums);
    });
  }
}

template <typename Pairs, typename Form>
void all_panels_by_pairs(const MatmulArgs& args) {
  static_assert(Pairs::kRows > 0 && sizeof(PairsScratch) <= kPairsScratchBytes &&
                kPassRows % Isa::kMaxTokens == 0);
  for (int row = 0; row < args.n_rows; row += kPassRows) {
    const int end = row + kPassRows < args.n_rows ? row + kPassRows : args.n_rows;
    int panel = args.first_panel;
    for (; panel + kBlockPanels <= args.last_panel; panel += kBlockPanels) {
      pass_rows<Pairs, Form, kBlockPanels>(args, panel, row, end);
    }
    for (; panel < args.last_panel; ++panel) pass_rows<Pairs, Form, 1>(args, panel, row, end);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
