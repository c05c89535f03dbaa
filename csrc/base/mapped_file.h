// A file mapped into memory to be read, and never written.
//
// The file must not be shortened while it is mapped: reading past its new end kills the process.
// Replacing it by renaming leaves an open mapping intact.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace gpt2edge {

class MappedFile {
 public:
  // The path is UTF-8 on Windows and the system's bytes elsewhere. Throws FileError when the file
  // is missing, unreadable or not a regular file.
  explicit MappedFile(const std::string& path);
  // An open file, from its first byte on, whatever its position. The descriptor stays the caller's
  // and may be closed afterwards. `name` is for messages. Throws the same.
  MappedFile(int descriptor, const std::string& name);
  // Bytes in memory, which outlive this.
  explicit MappedFile(std::span<const std::byte> bytes)
      : data_(bytes.data()), size_(bytes.size()), is_borrowed_(true) {}
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

  // Lets the system drop these pages from memory; they are read again when needed.
  void release(size_t offset, size_t size) const;

 private:
  void take(std::span<const std::byte> mapped);

  const void* data_ = nullptr;  // null for an empty file
  size_t size_ = 0;
  bool is_borrowed_ = false;
};

}  // namespace gpt2edge
