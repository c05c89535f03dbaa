// Reads the head of a GGUF file from front to back, and never past its end.
//
// Every failure is a FormatError that names the file and says what was being read.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace gpt2edge {

static_assert(std::endian::native == std::endian::little,
              "GGUF's numbers are read in the machine's byte order, which must be little-endian");

// The number at p, which need not be aligned.
template <typename T>
T load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

class Cursor {
 public:
  // Both outlive the cursor.
  Cursor(const std::string& path, std::span<const std::byte> bytes) : path_(path), bytes_(bytes) {}

  size_t file_size() const { return bytes_.size(); }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  // The next `size` bytes, which it steps over.
  const std::byte* take(uint64_t size, const std::string& what);

  template <typename T>
  T read(const std::string& what) {
    return load<T>(take(sizeof(T), what));
  }

  // A view of the file's bytes: a u64 length, then any bytes at all.
  std::string_view read_string(const std::string& what);

  // The name of a key or tensor: printable ASCII, so that it can be shown in any message.
  std::string read_name(const std::string& what);

  // Refuses a count of things that take at least `least` bytes each, when the rest of the file
  // cannot hold as many: whoever reserves memory for them then reserves no more than the file has.
  void check_count(uint64_t count, uint64_t least, const std::string& what) const;

  [[noreturn]] void fail(const std::string& text) const { throw FormatError(path_ + ": " + text); }
  [[noreturn]] void fail_unsupported(const std::string& text) const {
    throw UnsupportedError(path_ + ": " + text);
  }

 private:
  const std::string& path_;
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

}  // namespace gpt2edge
