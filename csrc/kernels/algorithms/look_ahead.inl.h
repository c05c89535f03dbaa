// Asking memory for the weights that come next.
//
// Left to itself a processor looks ahead to the end of a page, which is too late for memory that
// takes hundreds of cycles.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// Which of the tiles of rows that pass over a panel.
struct AskingTile {
  int index, count;
};

// From any byte of a panel to the one to ask for: `near` before `turn`, `far` from there on, 0 for
// none. Of every run of bytes a tile asks for a line every `step` bytes, from `first` on.
struct Ahead {
  const uint8_t* turn;
  ptrdiff_t near, far;
  int first, step;

  // For Size bytes at `p` of one panel and as many of the next P - 1. A loop that is not unrolled
  // on purpose: asking for all lines at once was 15% slower on a Xeon with AVX-512.
  template <int P, int Size>
  GPT2EDGE_INLINE void ask(const uint8_t* p, size_t panel_bytes) const {
    const ptrdiff_t distance = p < turn ? near : far;
    if (distance == 0) return;
    for (int i = 0; i < P; ++i, p += panel_bytes) {
      for (int at = first; at < Size; at += step) GPT2EDGE_PREFETCH_L2(p + distance + at);
    }
  }
};

// One tile reads all panels as one stream and asks so many bytes ahead.
constexpr ptrdiff_t kStreamAhead = 24 << 10;
// More tiles find their block of panels in the cache, but for the first; so many of them share in
// asking for the next block.
constexpr int kAskingTiles = 4;

Ahead ahead_of(const MatmulArgs& args, int panel, AskingTile tile) {
  if (tile.index >= kAskingTiles) return {};
  const auto panel_bytes = static_cast<ptrdiff_t>(args.weights.layout.panel_bytes);
  const ptrdiff_t bytes = tile.count == 1 ? kStreamAhead : kBlockPanels * panel_bytes;
  const int whole = static_cast<int>(bytes / panel_bytes);
  const ptrdiff_t rest = bytes % panel_bytes;
  // To the panel so many places on, past the caller's range where it goes on after it.
  const auto to = [&](int places) -> ptrdiff_t {
    int target = panel + places;
    if (target >= args.last_panel) {
      if (args.next_panel < 0) return 0;
      target += args.next_panel - args.last_panel;
    }
    return panel_bytes * (target - panel - places) + bytes;
  };
  const uint8_t* start = args.weights.panels + panel_bytes * (panel - args.weights.first_panel);
  const int step = 64 * (tile.count < kAskingTiles ? tile.count : kAskingTiles);
  return {start + (panel_bytes - rest), to(whole), to(whole + 1), 64 * tile.index, step};
}

}  // namespace
}  // namespace gpt2edge::kernels
