// Bytes to compressed ones and back: files in blocks, and short messages.
//
// Any bytes have a code, text or not. The same bytes come out of every machine, whatever its
// processor and number of threads. docs/compression.md has both formats byte by byte.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "compress/coding.h"
#include "tokenize/tokenizer.h"

namespace gpt2edge {

// Called with the bytes of text that are done, and those in all.
using CompressionProgress = std::function<void(uint64_t done, uint64_t all)>;

class Compressor {
 public:
  static constexpr size_t kUsualBlock = size_t{1} << 15;
  static constexpr int kUsualParallel = 16;
  static constexpr size_t kMostMessage = size_t{1} << 16;  // bytes of text

  // n_ctx: positions of the contexts of files; messages have the model's. Throws what
  // CodingModel::check does, and UnsupportedError where the vocabulary has no token to start from.
  Compressor(std::shared_ptr<Model> model, std::shared_ptr<const Tokenizer> tokenizer, int n_ctx);

  // In blocks of nearly equal length, at most `block_size` bytes each. Throws std::invalid_argument
  // for a block_size out of its range.
  std::string compress(std::string_view text, size_t block_size,
                       const CompressionProgress& progress, const Interrupt& interrupt) const;
  // Decodes up to n_parallel blocks at a time; 0: as many as usual and as fit in half of the free
  // memory. `name` is for messages, usually a path. Throws FormatError and UnsupportedError.
  std::string decompress(const std::string& name, std::span<const std::byte> bytes, int n_parallel,
                         const CompressionProgress& progress, const Interrupt& interrupt) const;

  // At most kMostMessage bytes; throws std::invalid_argument for more.
  std::string compress_message(std::string_view text, const Interrupt& interrupt) const;
  std::string decompress_message(const std::string& name, std::span<const std::byte> bytes,
                                 const Interrupt& interrupt) const;

 private:
  CodingModel with_context(int n_ctx) const;
  std::string code_of(const CodingModel& coding, std::string_view text,
                      const std::function<void(size_t n_bytes)>& progress,
                      const Interrupt& interrupt) const;
  int chosen_parallel(const CodingModel& coding, int n_parallel, size_t n_blocks) const;

  std::shared_ptr<Model> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int n_ctx_;
};

}  // namespace gpt2edge
