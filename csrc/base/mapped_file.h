// A file mapped into memory to be read, and never written.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace gpt2edge {

class MappedFile {
 public:
  // Throws FileError when the file is missing, unreadable or not a regular file.
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // The system may forget its copy of these bytes: they will be read again if they are needed.
  void release(size_t offset, size_t size) const;

 private:
  const std::byte* data_ = nullptr;  // null for an empty file
  size_t size_ = 0;
};

}  // namespace gpt2edge
