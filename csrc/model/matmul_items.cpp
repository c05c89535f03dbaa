#include "model/matmul_items.h"

#include <algorithm>

namespace gpt2edge {
namespace {

using kernels::MatmulArgs;
using kernels::QuantizedRows;

// Tiles of rows from which on a part of the rows is enough for a panel that is in the cache.
constexpr int kManyTiles = 16;

// Rows from `row` on, the first of a tile, of n_in inputs each.
QuantizedRows rows_from(QuantizedRows rows, int row, int n_in) {
  if (rows.codes == nullptr) return rows;
  const size_t n_codes = static_cast<size_t>(row) * static_cast<size_t>(n_in);
  const size_t n_blocks = n_codes / kernels::kBlockInputs;
  rows.codes += n_codes;
  rows.scales += n_blocks;
  rows.sums += 2 * n_blocks;
  rows.starts8 += n_blocks;
  rows.starts4 += n_blocks;
  rows.scaled_sums += n_blocks;
  return rows;
}

void take_rows(MatmulArgs& args, int first, int end) {
  const auto row = static_cast<size_t>(first);
  args.n_rows = end - first;
  args.values += args.values_stride * row;
  args.quantized = rows_from(args.quantized, first, args.weights.layout.n_in);
  args.out_codes = rows_from(args.out_codes, first, args.weights.n_out);
  if (args.out != nullptr) args.out += args.out_stride * row;
  if (args.maxima != nullptr) args.maxima += args.maxima_stride * row;
}

}  // namespace

MatmulItems::MatmulItems(const MatmulArgs& whole, int n_threads)
    : whole_(whole), n_threads_(n_threads), n_panels_(kernels::panel_count(whole.weights.n_out)) {
  // Whole blocks of outputs: kernels work on as many panels at a time.
  const int n_blocks = (n_panels_ + kernels::kBlockPanels - 1) / kernels::kBlockPanels;
  share_ = std::max(1, n_blocks / (n_threads * kItemsPerThread)) * kernels::kBlockPanels;
  n_ranges_ = (n_panels_ + share_ - 1) / share_;
  const bool many_rows = whole.n_rows >= kManyTiles * whole.quantized.tile;
  n_whole_ = many_rows && n_threads > 1 ? std::max(0, n_ranges_ - n_threads) : n_ranges_;
}

MatmulArgs MatmulItems::part(int item) const {
  MatmulArgs args = whole_;
  const int row_part = item - n_whole_;
  const int range = row_part < 0 ? item : n_whole_ + row_part / kRowParts;
  args.first_panel = range * share_;
  args.last_panel = std::min(n_panels_, args.first_panel + share_);
  if (row_part < 0) {
    const int next = args.first_panel + share_ * n_threads_;
    args.next_panel = next < n_panels_ ? next : -1;
  } else {
    const int tile = whole_.quantized.tile, part = row_part % kRowParts;
    const int n_tiles = (whole_.n_rows + tile - 1) / tile;
    const auto row_of = [&](int tiles) { return std::min(whole_.n_rows, tiles * tile); };
    take_rows(args, row_of(n_tiles * part / kRowParts), row_of(n_tiles * (part + 1) / kRowParts));
  }
  return args;
}

}  // namespace gpt2edge
