// A file mapped into memory to be read, and never written.
//
// The bytes are the file's as long as nobody shortens it meanwhile: reading past a mapped file's
// new end kills the process. Files are replaced by renaming, which leaves an open mapping whole.
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

  // The system may forget its copy of these bytes: they will be read again if they are needed.
  void release(size_t offset, size_t size) const;

 private:
  void take(std::span<const std::byte> mapped);

  const void* data_ = nullptr;  // null for an empty file
  size_t size_ = 0;
  bool is_borrowed_ = false;
};

}  // namespace gpt2edge
