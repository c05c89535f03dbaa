// Software prefetch of the weights that a matmul reads next.
//
// The hardware prefetcher of some processors stops at the end of a page, which is too late for
// memory that takes hundreds of cycles; that of others follows a single stream better alone (the
// caller knows: base/cpu_info.h).
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// A tile's place among the tiles of rows that pass over a panel.
struct TilePlace {
  int index, count;
};

// The distance in bytes from any byte of a panel to the one to prefetch: `before` in front of
// `split`, `after` from there on; 0 for none. Of every run of bytes a tile prefetches a cache line
// every `step` bytes, from `first` on.
struct Prefetcher {
  const uint8_t* split;
  ptrdiff_t before, after;
  int first, step;

  // For Size bytes at `p` of one panel and as many of the next P - 1. A loop that is not unrolled
  // on purpose: prefetching all lines at once was 15% slower on a Xeon with AVX-512.
  template <int P, int Size>
  GPT2EDGE_INLINE void prefetch(const uint8_t* p, size_t panel_bytes) const {
    const ptrdiff_t distance = p < split ? before : after;
    if (distance == 0) return;
    for (int i = 0; i < P; ++i, p += panel_bytes) {
      for (int at = first; at < Size; at += step) GPT2EDGE_PREFETCH_L2(p + distance + at);
    }
  }
};

// A single tile reads all panels as one stream and prefetches so many bytes ahead.
constexpr ptrdiff_t kStreamDistance = 24 << 10;
// Of several tiles all but the first find their block of panels in the cache; the first of them, at
// most this many, share the prefetch of the next block.
constexpr int kPrefetchTiles = 4;

Prefetcher make_prefetcher(const MatmulArgs& args, int panel, TilePlace tile) {
  if (tile.count == 1 ? !args.prefetch_stream : tile.index >= kPrefetchTiles) return {};
  const auto panel_bytes = static_cast<ptrdiff_t>(args.weights.layout.panel_bytes);
  const ptrdiff_t bytes = tile.count == 1 ? kStreamDistance : kBlockPanels * panel_bytes;
  const int whole = static_cast<int>(bytes / panel_bytes);
  const ptrdiff_t rest = bytes % panel_bytes;
  // The distance into the panel `n` panels on; behind the caller's range that is in next_panel.
  const auto distance = [&](int n) -> ptrdiff_t {
    int target = panel + n;
    if (target >= args.last_panel) {
      if (args.next_panel < 0) return 0;
      target += args.next_panel - args.last_panel;
    }
    return panel_bytes * (target - panel - n) + bytes;
  };
  const uint8_t* start = args.weights.panels + panel_bytes * (panel - args.weights.first_panel);
  const int step = 64 * (tile.count < kPrefetchTiles ? tile.count : kPrefetchTiles);
  return {start + (panel_bytes - rest), distance(whole), distance(whole + 1), 64 * tile.index,
          step};
}

}  // namespace
}  // namespace gpt2edge::kernels
