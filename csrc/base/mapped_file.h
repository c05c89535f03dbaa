// A file mapped into memory to be read, and never written.
//
// Replacing the file by renaming leaves an open mapping intact. Where it is shortened, or its disk
// fails, what cannot be read reads as zeros, and checked() tells it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "base/lost_pages.h"

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
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes() const { return bytes_; }

  // Calls read(), which reads these bytes, and gives what it does. Throws FileError instead,
  // whatever came of it, when some of the bytes could not be read. `name` is for the message.
  template <typename Read>
  std::invoke_result_t<Read> checked(const std::string& name, const Read& read) const {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<Read>>) {
        read();
        check_read(name);
      } else {
        auto out = read();
        check_read(name);
        return out;
      }
    } catch (...) {
      check_read(name);
      throw;
    }
  }

  // Lets the system drop these pages from memory; they are read again when needed.
  void release(size_t offset, size_t size) const;

 private:
  // Bytes that end with this.
  class Mapping {
   public:
    explicit Mapping(std::span<const std::byte> bytes)
        : pages_{bytes}, watched_(bytes.data(), bytes.size()) {}
    bool has_lost_pages() const { return watched_.has_lost_pages(); }

   private:
    struct Pages {
      std::span<const std::byte> bytes;
      ~Pages();
    };
    Pages pages_;
    WatchedRange watched_;  // no longer watched once they are unmapped
  };

  void take(std::span<const std::byte> mapped);
  void check_read(const std::string& name) const;

  std::span<const std::byte> bytes_;
  std::unique_ptr<Mapping> mapping_;  // none for bytes in memory, and for an empty file
};

}  // namespace gpt2edge
