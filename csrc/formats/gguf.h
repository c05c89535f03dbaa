// Reads GGUF files, versions 2 and 3: metadata and tensors as views into the mapped file.
//
// Every count, length and offset is a stranger's word. It is compared with what is left of the file
// before it is used, so a file that lies is refused, and costs no more memory than its own size.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "formats/ggml_blocks.h"

namespace gpt2edge {

struct TensorInfo {
  std::string name;
  TensorType type;
  std::vector<uint64_t> shape;  // slowest first: (n_out, n_in)
  uint64_t offset;              // from the start of the file
  uint64_t n_bytes;
  const std::byte* data;

  uint64_t n_in() const { return shape.back(); }
  uint64_t n_rows() const;
};

// An array whose elements have been checked to lie inside the file, still undecoded.
struct GgufArray {
  uint32_t element_type;  // GGUF's value type id
  uint64_t n;
  const std::byte* data;
};

// Integers are widened; a string views the file.
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;

class GgufFile {
 public:
  // Throws FileError, FormatError or UnsupportedError.
  static GgufFile open(const std::string& path);

  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }

  const GgufValue* find(const std::string& key) const;  // null when there is none
  const TensorInfo* find_tensor(const std::string& name) const;

  // These throw FormatError, naming the key or tensor, when it is missing or of another type.
  uint32_t get_u32(const std::string& key) const;  // any integer type that fits
  float get_f32(const std::string& key) const;
  std::string_view get_string(const std::string& key) const;
  std::vector<std::string_view> get_strings(const std::string& key) const;
  std::vector<int64_t> get_integers(const std::string& key) const;
  const TensorInfo& tensor(const std::string& name) const;

  // The tensor's bytes will not be needed again soon.
  void release(const TensorInfo& tensor) const { file_.release(tensor.offset, tensor.n_bytes); }

 private:
  explicit GgufFile(const std::string& path);
  const GgufValue& value(const std::string& key) const;
  const GgufArray& array(const std::string& key) const;

  std::string path_;
  MappedFile file_;
  uint32_t version_ = 0;
  std::map<std::string, GgufValue> metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t> tensor_index_;
};

}  // namespace gpt2edge
