#include "model/workspace.h"

namespace gpt2edge {
namespace {

// Kernels write whole vectors of 16; 64 bytes is also a cache line.
size_t padded(size_t n) { return (n + 15) / 16 * 16; }

}  // namespace

// Allocates pieces of one buffer; without a buffer it computes their total size.
class BumpAllocator {
 public:
  explicit BumpAllocator(std::byte* base) : base_(base) {}

  template <typename T>
  void take(T*& piece, size_t count) {
    piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (count * sizeof(T) + 63) / 64 * 64;
  }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

namespace {

void take_codes(BumpAllocator& allocator, kernels::QuantizedRows& rows, size_t n_in) {
  const size_t n_blocks = kMaxRows * n_in / kernels::kBlockInputs;
  allocator.take(rows.codes, kMaxRows * n_in + 4);
  allocator.take(rows.scales, n_blocks);
  allocator.take(rows.sums, 2 * n_blocks);
  allocator.take(rows.starts8, n_blocks);
  allocator.take(rows.starts4, n_blocks);
  allocator.take(rows.scaled_sums, n_blocks);
}

}  // namespace

void Workspace::lay_out(const Config& config, int n_threads, BumpAllocator& allocator) {
  const size_t embd = static_cast<size_t>(config.n_embd);
  const size_t inner_width = static_cast<size_t>(config.n_inner);
  embd_stride = padded(embd);
  qkv_stride = padded(3 * embd);
  inner_stride = padded(inner_width);
  vocab_stride = padded(static_cast<size_t>(config.n_vocab));
  const size_t scores = kernels::attention_scratch(static_cast<size_t>(config.n_ctx),
                                                   static_cast<size_t>(config.d_head()));
  const size_t unpacked = kernels::matmul_scratch(std::max(config.n_embd, config.n_inner));
  const size_t normed_tile = kernels::kMaxTile * embd_stride;
  scratch_stride_ = padded(std::max({scores, unpacked / sizeof(float), normed_tile}));
  attended_rows_stride_ =
      padded(kAttendedTiles * kernels::kMaxTile * static_cast<size_t>(config.d_head()));
  allocator.take(x, kMaxRows * embd_stride);
  allocator.take(normed, kMaxRows * embd_stride);
  allocator.take(qkv, kMaxRows * qkv_stride);
  allocator.take(attended, kMaxRows * embd_stride);
  allocator.take(inner, kMaxRows * inner_stride);
  allocator.take(logits, kMaxHeadRows * vocab_stride);
  allocator.take(maxima, kMaxHeadRows * maxima_count(config.n_vocab));
  take_codes(allocator, quantized, embd);
  take_codes(allocator, inner_codes, inner_width);
  allocator.take(scratch_, scratch_stride_ * static_cast<size_t>(n_threads));
  allocator.take(attended_rows_, attended_rows_stride_ * static_cast<size_t>(n_threads));
}

Workspace::Workspace(const Config& config, int n_threads, int tile) {
  quantized.tile = tile;
  inner_codes.tile = tile;
  BumpAllocator sizing(nullptr);
  lay_out(config, n_threads, sizing);
  buffer_ = AlignedBuffer(sizing.used());
  BumpAllocator placing(buffer_.data());
  lay_out(config, n_threads, placing);
}

size_t Workspace::bytes_needed(const Config& config, int n_threads) {
  Workspace unplaced;
  BumpAllocator sizing(nullptr);
  unplaced.lay_out(config, n_threads, sizing);
  return sizing.used();
}

}  // namespace gpt2edge
