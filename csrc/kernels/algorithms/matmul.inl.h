// Rows of activations times packed panels of weights.
//
// One loop for each kind of weights: a tile of up to Isa::kMaxTokens rows of activations against
// two panels of 16 weight rows, whose outputs are a block of the next matmul's inputs. The panels
// stay in the first-level cache while all rows pass over them.
#pragma once

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/algorithms/matmul_tile.inl.h"
#include "kernels/algorithms/quantize_rows.inl.h"
#include "kernels/algorithms/unpack_panels.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// ---- from sums to outputs ----

// Bias and activation function, for T rows of one panel.
template <int T>
GPT2EDGE_INLINE void activate(const MatmulArgs& args, size_t column, Isa::Floats* sum) {
  if (args.bias != nullptr) {
    const Isa::Floats bias = Isa::load(args.bias + column);
    for (int t = 0; t < T; ++t) sum[t] = Isa::add(sum[t], bias);
  }
  if (args.epilogue == Epilogue::kGeluTanh) {
    for (int t = 0; t < T; ++t) sum[t] = gelu_tanh(sum[t]);
  } else if (args.epilogue == Epilogue::kGeluErf) {
    for (int t = 0; t < T; ++t) sum[t] = gelu_erf(sum[t]);
  }
}

// Stores the finished sums of T rows by P panels as floats.
template <int P, int T>
GPT2EDGE_INLINE void store_floats(const MatmulArgs& args, int panel, int row,
                                  Isa::Floats (*sum)[T]) {
  const size_t stride = args.out_stride;
  float* out = args.out + stride * row + static_cast<size_t>(panel) * kPanelRows;
  for (int p = 0; p < P; ++p, out += kPanelRows) {
    if (args.epilogue == Epilogue::kResidual) {
      for (int t = 0; t < T; ++t) sum[p][t] = Isa::add(Isa::load(out + stride * t), sum[p][t]);
    }
    for (int t = 0; t < T; ++t) Isa::store(out + stride * t, sum[p][t]);
  }
}

template <int P, int T>
GPT2EDGE_INLINE void store_maxima(const MatmulArgs& args, int panel, int row,
                                  Isa::Floats (*sum)[T]) {
  float* out = args.maxima + args.maxima_stride * row + panel / kBlockPanels;
  for (int t = 0; t < T; ++t) {
    Isa::Floats largest = sum[0][t];
    Isa::Floats zero = Isa::sub(largest, largest);  // NaN for what is not finite
    for (int p = 1; p < P; ++p) {
      largest = Isa::max(largest, sum[p][t]);
      zero = Isa::add(zero, Isa::sub(sum[p][t], sum[p][t]));
    }
    out[args.maxima_stride * t] = Isa::max_lane(largest) + Isa::sum(zero);
  }
}

// Stores them as a block of codes instead, which the next matmul reads.
template <int T>
GPT2EDGE_INLINE void store_codes(const MatmulArgs& args, int panel, int row,
                                 Isa::Floats (*sum)[T]) {
  const QuantizedRows codes = args.out_codes;
  const size_t n_blocks = static_cast<size_t>(args.weights.n_out) / kBlockInputs;
  const size_t first = n_blocks * row + static_cast<size_t>(panel / kBlockPanels) * T;
  quantize_block<T>(sum[0], sum[1], codes, first);
}

template <int P, int T>
GPT2EDGE_INLINE void finish(const MatmulArgs& args, int panel, int row, Isa::Floats (*sum)[T]) {
  for (int p = 0; p < P; ++p) {
    activate<T>(args, static_cast<size_t>(panel + p) * kPanelRows, sum[p]);
  }
  if (args.out != nullptr) {
    store_floats<P, T>(args, panel, row, sum);
    if (args.maxima != nullptr) store_maxima<P, T>(args, panel, row, sum);
  } else if constexpr (P == kBlockPanels) {
    store_codes<T>(args, panel, row, sum);
  }
}

// ---- all rows over a range of panels ----

// Few rows are bound by memory: weights are read faster as one stream, a panel after the other.
constexpr int kFewRows = 4;

// T rows by one panel: compiled once, for tiles of one panel and of several.
template <typename Tile, int T>
GPT2EDGE_NOINLINE void accumulate_panel(const MatmulArgs& args, int panel, int row, TilePlace place,
                                        Isa::Floats (*sum)[T]) {
  Tile::template accumulate<1, T>(args, panel, row, make_prefetcher(args, panel, place), sum);
}

// T rows by P panels, all panels at once if the registers hold their sums.
template <typename Tile, int P, int T>
GPT2EDGE_NOINLINE void run_tile(const MatmulArgs& args, int panel, int row, TilePlace place) {
  // The outputs' cache lines arrive while the sums accumulate.
  if (args.out != nullptr) {
    const float* out = args.out + args.out_stride * row + static_cast<size_t>(panel) * kPanelRows;
    for (int t = 0; t < T; ++t) {
      for (int p = 0; p < P; ++p) GPT2EDGE_PREFETCH(out + args.out_stride * t + kPanelRows * p);
    }
  }
  Isa::Floats sum[P][T];
  if constexpr (P <= Isa::kMaxPanels && T > kFewRows) {
    Tile::template accumulate<P, T>(args, panel, row, make_prefetcher(args, panel, place), sum);
  } else {
    for (int p = 0; p < P; ++p) accumulate_panel<Tile, T>(args, panel + p, row, place, sum + p);
  }
  finish<P, T>(args, panel, row, sum);
}

// The last rows, fewer than a full tile: the tile of exactly that many.
template <typename Tile, int P, int T>
void remaining_rows(const MatmulArgs& args, int panel, int row, TilePlace place) {
  if constexpr (T > 0) {
    if (args.n_rows - row == T) {
      run_tile<Tile, P, T>(args, panel, row, place);
    } else {
      remaining_rows<Tile, P, T - 1>(args, panel, row, place);
    }
  }
}

template <typename Tile, int P>
void all_rows(const MatmulArgs& args, int panel) {
  constexpr int T = Isa::kMaxTokens;
  const int n_tiles = (args.n_rows + T - 1) / T;
  int row = 0;
  for (int tile = 0; row + T <= args.n_rows; row += T, ++tile) {
    run_tile<Tile, P, T>(args, panel, row, {tile, n_tiles});
  }
  remaining_rows<Tile, P, T - 1>(args, panel, row, {n_tiles - 1, n_tiles});
}

template <typename Tile>
void all_panels(const MatmulArgs& args) {
  int panel = args.first_panel;
  for (; panel + kBlockPanels <= args.last_panel; panel += kBlockPanels) {
    all_rows<Tile, kBlockPanels>(args, panel);
  }
  for (; panel < args.last_panel; ++panel) all_rows<Tile, 1>(args, panel);
}

// The panels, a block of them at a time, in the form of 8-bit codes that Unpacked gives.
template <typename Unpacked>
void all_panels_unpacked(const MatmulArgs& args) {
  MatmulArgs block = args;
  block.weights.layout.panel_bytes = unpacked_panel_bytes<Unpacked>(args.weights);
  block.weights.panels = args.scratch;
  block.next_panel = -1;
  for (int panel = args.first_panel; panel < args.last_panel; panel = block.last_panel) {
    block.weights.first_panel = block.first_panel = panel;
    block.last_panel =
        panel + kBlockPanels < args.last_panel ? panel + kBlockPanels : args.last_panel;
    for (int p = panel; p < block.last_panel; ++p) {
      unpack_panel<Unpacked>(args.weights, p,
                             args.scratch + block.weights.layout.panel_bytes * (p - panel));
    }
    all_panels<IntegerTile<typename Unpacked::To>>(block);
  }
}

template <typename Unpacked>
void all_panels_of_codes(const MatmulArgs& args, int unpack_rows) {
  if (args.scratch != nullptr && args.n_rows >= unpack_rows) {
    all_panels_unpacked<Unpacked>(args);
  } else {
    all_panels<IntegerTile<typename Unpacked::From>>(args);
  }
}

void matmul(const MatmulArgs& args) {
  switch (args.weights.layout.form) {
    case WeightForm::kF32:
      return all_panels<FloatTile<F32Weights>>(args);
    case WeightForm::kF16:
      return all_panels<FloatTile<F16Weights>>(args);
    case WeightForm::kBF16:
      return all_panels<FloatTile<BF16Weights>>(args);
    case WeightForm::kInt8:
      return all_panels<IntegerTile<Int8>>(args);
    case WeightForm::kInt4:
      return all_panels_of_codes<UnpackedInt4>(args, Isa::kUnpackRows4);
    case WeightForm::kInt8Affine:
      return all_panels<IntegerTile<Int8Affine>>(args);
    case WeightForm::kInt4Super:
      return all_panels_of_codes<UnpackedInt4Super>(args, Isa::kUnpackRows4);
    case WeightForm::kInt6Super:
      return all_panels_of_codes<UnpackedInt6Super>(args, Isa::kUnpackRows6);
    case WeightForm::kInt3Super:
      return all_panels_of_codes<UnpackedInt3Super>(args, Isa::kUnpackRows4);
    case WeightForm::kInt2Super:
      return all_panels_of_codes<UnpackedInt2Super>(args, Isa::kUnpackRows4);
    case WeightForm::kTable4:
      return all_panels_of_codes<UnpackedTable4>(args, Isa::kUnpackRowsTable);
    case WeightForm::kTable4Super:
      return all_panels_of_codes<UnpackedTable4Super>(args, Isa::kUnpackRowsTable);
    case WeightForm::kTable4Halves:
      return all_panels_of_codes<UnpackedTable4Halves>(args, Isa::kUnpackRowsTable);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
