// Reads GGUF files, versions 2 and 3: metadata and tensors as views into the mapped file.
//
// Counts, lengths and offsets in a file are untrusted. Each is compared with the rest of the file
// before it is used, so a wrong one is refused before memory is allocated for it.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "formats/gguf_tensors.h"
#include "formats/gguf_values.h"

namespace gpt2edge {

// Movable, not copyable: views of it stay valid while the object, or the one it was moved to,
// exists.
class GgufFile {
 public:
  // Throws FileError, FormatError or UnsupportedError.
  static GgufFile open(const std::string& path) { return {path, MappedFile(path)}; }
  // An open file, or bytes in memory. `name` stands for the path. The descriptor stays the caller's
  // and may be closed afterwards; the bytes outlive this.
  static GgufFile open(int descriptor, const std::string& name) {
    return {name, MappedFile(descriptor, name)};
  }
  static GgufFile of_bytes(std::span<const std::byte> bytes, const std::string& name) {
    return {name, MappedFile(bytes)};
  }

  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the file's order

  const GgufValue* find(const std::string& key) const;  // null when there is none
  const TensorInfo* find_tensor(const std::string& name) const;

  // These throw FormatError, naming the key or tensor, when it is missing or of another type.
  const TensorInfo& tensor(const std::string& name) const;
  uint32_t get_u32(const std::string& key) const;  // from any integer type, if the value fits
  float get_f32(const std::string& key) const;     // from f32 or f64, if it fits
  std::string_view get_string(const std::string& key) const;
  std::vector<std::string_view> get_strings(const std::string& key) const;
  std::vector<int64_t> get_integers(const std::string& key) const;

  // Calls read(), which reads metadata or tensors, and gives what it does. Throws FileError instead
  // when some of the file could not be read.
  template <typename Read>
  auto checked(const Read& read) const {
    return file_.checked(path_, read);
  }

  // The tensor's bytes, or the first n_bytes of them, will not be needed again soon.
  void release(const TensorInfo& tensor) const { release(tensor, tensor.n_bytes); }
  void release(const TensorInfo& tensor, uint64_t n_bytes) const {
    file_.release(static_cast<size_t>(tensor.offset), static_cast<size_t>(n_bytes));
  }

 private:
  GgufFile(std::string path, MappedFile file);
  void read_header();
  void read_metadata(Cursor& in, uint64_t n_keys);
  uint64_t alignment(const Cursor& in) const;
  const GgufValue& value(const std::string& key) const;
  const GgufArray& array(const std::string& key) const;
  [[noreturn]] void fail_type(const std::string& key, const std::string& expected) const;

  std::string path_;
  MappedFile file_;
  uint32_t version_ = 0;
  std::map<std::string, GgufValue> metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t> tensor_index_;
};

}  // namespace gpt2edge
