// Writes little-endian numbers and strings, one after the other: what Cursor (gguf_cursor.h) reads.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gpt2edge {

static_assert(std::endian::native == std::endian::little,
              "numbers are written in the machine's byte order");

class ByteWriter {
 public:
  template <typename T>
  void add(T value) {
    static_assert(std::is_arithmetic_v<T>);
    add_bytes(std::as_bytes(std::span(&value, 1)));
  }
  // A u64 count, then that many bytes or numbers.
  void add_string(std::string_view text) {
    add(uint64_t{text.size()});
    add_bytes(std::as_bytes(std::span(text)));
  }
  void add_numbers(std::span<const int32_t> numbers) {
    add(uint64_t{numbers.size()});
    add_bytes(std::as_bytes(numbers));
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  void add_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }

  std::vector<std::byte> bytes_;
};

}  // namespace gpt2edge
