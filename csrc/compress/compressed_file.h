// The file form of compressed text: a head, the codes of independent blocks, a checksum.
//
// All numbers are little-endian. docs/compression.md has the format byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2edge {

struct CompressedFile {
  static constexpr size_t kLeastBlock = 1, kMostBlock = size_t{1} << 24;  // bytes of text

  struct Block {
    uint32_t n_text;    // bytes
    uint32_t checksum;  // CRC-32C of the text
    std::span<const std::byte> code;
    // Of what has no shorter code, the text itself is stored.
    bool is_stored() const { return code.size() == n_text; }
  };

  uint64_t fingerprint = 0;  // of the model
  int32_t n_ctx = 0;         // positions of the contexts
  std::vector<Block> blocks;

  uint64_t n_text() const;
  std::string bytes() const;
  // Borrows the codes. Throws FormatError, which begins with `name`, for bytes that are damaged or
  // none of these, and UnsupportedError for a later version.
  static CompressedFile read(const std::string& name, std::span<const std::byte> bytes);
};

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// CRC-32C of bytes that follow others, whose checksum is `before`.
uint32_t text_checksum(std::string_view text, uint32_t before = 0);

}  // namespace gpt2edge
