// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

namespace gpt2edge {

// It is written beside its target under a temporary name, flushed to the disk, and renamed. Where
// it is not finished, the temporary file is removed and the target is as it was.
class OutputFile {
 public:
  // The path is UTF-8 on Windows and the system's bytes elsewhere. Throws FileError where the file
  // cannot be made; so do the others.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail() const;

  std::string path_, temporary_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace gpt2edge
