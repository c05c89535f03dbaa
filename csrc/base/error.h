// The kinds of failure the core reports. Each becomes one Python exception, in python/module.cpp.
//
// A message is one line that names the file, the tensor or key, what was found, what was expected
// and what to do about it. The core throws; it never prints and never aborts.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gpt2edge {

// A file is missing or unreadable, or the disk is full. -> OSError
class FileError : public std::runtime_error {
 public:
  FileError(const std::string& message, int error_number)
      : std::runtime_error(message), error_number_(error_number) {}
  int error_number() const { return error_number_; }

 private:
  int error_number_;
};

// The contents of a file are damaged or of another format. -> pygpt2edge.FormatError
class FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A valid file needs a feature that is not supported. -> pygpt2edge.UnsupportedError
class UnsupportedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// More tokens than positions. -> pygpt2edge.ContextLengthError
class ContextLengthError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What is asked for would not fit in memory; known before it was taken. -> MemoryError
class MemoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Builds a one-line message from parts: message("tensor ", name, " has ", n, " rows").
template <typename... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// Text from a file, fit to stand in a message: on one line, printable, not too long.
inline std::string quoted(std::string_view text) {
  constexpr size_t kMost = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, kMost)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > kMost ? "...\"" : "\"");
}

}  // namespace gpt2edge
