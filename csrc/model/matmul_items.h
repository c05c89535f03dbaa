// How the threads share a matmul.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge {

// Of a loop, for each thread: enough that the ends of threads meet, few enough to be handed out.
constexpr int kItemsPerThread = 8;

// Items for a ThreadPool: ranges of panels, so few that the overhead of an item is negligible. With
// many rows the last ranges are shared by rows too, since the threads wait for the last item.
class MatmulItems {
 public:
  MatmulItems(const kernels::MatmulArgs& whole, int n_threads);

  int count() const { return n_whole_ + kRowParts * (n_ranges_ - n_whole_); }
  kernels::MatmulArgs part(int item) const;

 private:
  static constexpr int kRowParts = 4;

  kernels::MatmulArgs whole_;
  int n_threads_, n_panels_;
  int share_;     // panels of a range
  int n_ranges_;  // of them
  int n_whole_;   // those that are one item; the others are kRowParts
};

}  // namespace gpt2edge
