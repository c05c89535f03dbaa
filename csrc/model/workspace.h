// The buffers that a pass writes between the embedding and the logits: taken once, when the model
// is loaded, so that decoding allocates nothing.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/aligned_buffer.h"
#include "kernels/kernel_table.h"
#include "model/config.h"

namespace gpt2edge {

// Rows that go through the layers together. More rows share a panel of weights while it is in the
// cache; fewer keep the activations in the second-level cache.
constexpr int kMaxRows = 256;
// Tiles of rows whose attention a thread computes before it makes codes of them: a multiple of the
// rows of attention's own tiles.
constexpr int kAttendedTiles = 4;
// Rows whose logits are computed together; each takes n_vocab floats.
constexpr int kMaxHeadRows = 16;

// Logits whose greatest is noted, and how many such blocks a vocabulary has.
constexpr int kMaximaBlock = kernels::kBlockInputs;
inline size_t maxima_count(int n_vocab) {
  return (static_cast<size_t>(n_vocab) + kMaximaBlock - 1) / kMaximaBlock;
}

class Workspace {
 public:
  Workspace(const Config& config, int n_threads, int tile);

  static size_t bytes_needed(const Config& config, int n_threads);
  size_t bytes() const { return buffer_.size(); }

  size_t embd_stride;  // floats between rows of x, normed and attended
  size_t qkv_stride;
  size_t inner_stride;
  size_t vocab_stride;
  float* x;         // (kMaxRows, n_embd) the residual stream
  float* normed;    // (kMaxRows, n_embd) what a layer norm gives
  float* qkv;       // (kMaxRows, 3 n_embd)
  float* attended;  // (kMaxRows, n_embd)
  float* inner;     // (kMaxRows, n_inner) after GELU, as floats or as codes:
  kernels::QuantizedRows inner_codes;
  float* logits;                     // (kMaxHeadRows, n_vocab)
  float* maxima;                     // (kMaxHeadRows, maxima_count(n_vocab))
  kernels::QuantizedRows quantized;  // n_embd inputs of whatever the next matmul reads

  // One thread's scratch buffer for kernels.
  float* scratch(int thread) { return scratch_ + scratch_stride_ * thread; }
  // One thread's room for one head's attention of kAttendedTiles tiles of rows, or for that of
  // several heads of one row.
  float* attended_rows(int thread) { return attended_rows_ + attended_rows_stride_ * thread; }

 private:
  Workspace() = default;  // unplaced: only its layout is of use
  void lay_out(const Config& config, int n_threads, class BumpAllocator& allocator);

  AlignedBuffer buffer_;
  float* scratch_;
  size_t scratch_stride_;
  float* attended_rows_;
  size_t attended_rows_stride_;
};

}  // namespace gpt2edge
