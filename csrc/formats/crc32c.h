// CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints and of saved texts. RFC 3720,
// section 12.1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gpt2edge {

// The checksum of `size` bytes at `data` that follow bytes whose checksum is `crc` (0 for none).
std::uint32_t crc32c(std::uint32_t crc, const std::uint8_t* data, std::size_t size);

// The same without the processor's instruction, as on those that have none.
std::uint32_t crc32c_by_tables(std::uint32_t crc, const std::uint8_t* data, std::size_t size);

}  // namespace gpt2edge
