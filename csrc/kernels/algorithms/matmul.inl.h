// Rows of activations times packed panels of weights.
//
// One loop for each kind of weights: a tile of up to Isa::kMaxTokens rows of activations against
// two panels of 16 weight rows, whose outputs are a block of the next matmul's inputs. The panels
// stay in the first-level cache while all rows pass over them.
#pragma once

#include "kernels/algorithms/epilogue.inl.h"
#include "kernels/algorithms/matmul_pairs.inl.h"
#include "kernels/algorithms/matmul_tile.inl.h"
#include "kernels/algorithms/unpack_panels.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

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
  prefetch_outputs<P, T>(args, panel, row);
  Isa::Floats sum[P][T];
  if constexpr (P <= Isa::kMaxPanels && T > kFewRows) {
    Tile::template accumulate<P, T>(args, panel, row, make_prefetcher(args, panel, place), sum);
  } else {
    for (int p = 0; p < P; ++p) accumulate_panel<Tile, T>(args, panel + p, row, place, sum + p);
  }
  finish<P, T>(args, panel, row, sum);
}

template <typename Tile, int P>
void all_rows(const MatmulArgs& args, int panel) {
  const int n_tiles = (args.n_rows + Isa::kMaxTokens - 1) / Isa::kMaxTokens;
  each_tile(0, args.n_rows, [&](auto width, int row) {
    run_tile<Tile, P, decltype(width)::value>(args, panel, row, {row / Isa::kMaxTokens, n_tiles});
  });
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

// Computes the panels by pairs of inputs, where that is faster for so many rows; or returns false.
template <typename Form, typename Pairs = Isa::Pairs>
bool done_by_pairs(const MatmulArgs& args) {
  if constexpr (Pairs::kRows < kNever) {
    if (args.scratch != nullptr && args.n_rows >= Pairs::kRows) {
      all_panels_by_pairs<Pairs, Form>(args);
      return true;
    }
  }
  return false;
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
      if (done_by_pairs<Int8>(args)) return;
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
      if (done_by_pairs<Table4>(args)) return;
      return all_panels_of_codes<UnpackedTable4>(args, Isa::kUnpackRowsTable);
    case WeightForm::kTable4Super:
      if (done_by_pairs<Table4Super>(args)) return;
      return all_panels_of_codes<UnpackedTable4Super>(args, Isa::kUnpackRowsTable);
    case WeightForm::kTable4Halves:
      return all_panels_of_codes<UnpackedTable4Halves>(args, Isa::kUnpackRowsTable);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
