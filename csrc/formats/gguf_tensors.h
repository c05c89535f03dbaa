// The list of tensors in a GGUF file: name, type, shape and place of each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/ggml_blocks.h"
#include "formats/gguf_cursor.h"

namespace gpt2edge {

struct TensorInfo {
  std::string name;
  TensorType type;
  std::vector<uint64_t> shape;  // slowest first: (n_out, n_in)
  uint64_t offset;              // from the start of the file
  uint64_t n_bytes;
  const std::byte* data;

  uint64_t n_in() const { return shape.back(); }
  uint64_t n_rows() const;
};

// Reads n_tensors entries, then finds the tensors in the data section, which begins at the next
// multiple of `alignment`. Tensors lie inside the file, aligned, and do not overlap.
std::vector<TensorInfo> read_tensors(Cursor& in, uint64_t n_tensors, uint64_t alignment,
                                     std::span<const std::byte> file);

}  // namespace gpt2edge
