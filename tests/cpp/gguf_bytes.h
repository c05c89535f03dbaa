// What the GGUF tests share: a small sound file, and a reader that touches all that a file offers.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/dequantize.h"
#include "formats/gguf.h"

namespace gpt2edge::test {

class GgufBytes {
 public:
  template <typename T>
  GgufBytes& add(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& text(const std::string& s) {
    add(uint64_t{s.size()});
    bytes_ += s;
    return *this;
  }
  GgufBytes& key(const std::string& name, uint32_t type) { return text(name).add(type); }
  GgufBytes& tensor(const std::string& name, std::vector<uint64_t> dims, TensorType type,
                    uint64_t offset) {
    text(name).add(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) add(dim);
    return add(static_cast<uint32_t>(type)).add(offset);
  }
  GgufBytes& pad(size_t size) {
    bytes_.resize(size);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

inline std::string sound_file() {
  GgufBytes out;
  out.add(uint32_t{0x46554747}).add(uint32_t{3}).add(uint64_t{2}).add(uint64_t{5});
  out.key("general.architecture", 8).text("gpt2");
  out.key("gpt2.block_count", 4).add(uint32_t{1});
  out.key("flag", 7).add(uint8_t{1});
  out.key("tokenizer.ggml.tokens", 9)
      .add(uint32_t{8})
      .add(uint64_t{3})
      .text("a")
      .text("")
      .text("bc");
  out.key("types", 9).add(uint32_t{5}).add(uint64_t{2}).add(int32_t{1}).add(int32_t{-3});
  out.tensor("a.weight", {32, 2}, TensorType::Q4_0, 0);
  out.tensor("a.bias", {5}, TensorType::F32, 64);
  const size_t data = (out.bytes().size() + 31) / 32 * 32;
  return out.pad(data + 64 + 5 * sizeof(float)).bytes();
}

// Opens the file and reads all of it. False when it was refused, as a damaged file should be.
inline bool read_everything(const std::string& path) {
  try {
    const GgufFile file = GgufFile::open(path);
    std::vector<float> row;
    for (const TensorInfo& tensor : file.tensors()) {
      row.resize(static_cast<size_t>(tensor.n_in()));
      for (uint64_t r = 0; r < tensor.n_rows(); ++r) {
        const size_t size = row_bytes(tensor.type, row.size());
        dequantize_row(tensor.type, tensor.data + size * r, row.data(), row.size());
      }
      file.release(tensor);
    }
    for (const auto& [key, value] : file.metadata()) {
      if (!std::holds_alternative<GgufArray>(value)) continue;
      size_t n = 0;
      for_each(std::get<GgufArray>(value), [&](const GgufValue& element) {
        if (const auto* s = std::get_if<std::string_view>(&element)) n += std::string(*s).size();
      });
      if (n > file.path().max_size())
        return false;  // keeps the reading of strings from being removed
    }
    return true;
  } catch (const FormatError&) {
    return false;
  } catch (const UnsupportedError&) {
    return false;
  }
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) throw std::runtime_error("cannot write " + path);
  const size_t written = std::fwrite(bytes.data(), 1, bytes.size(), file);
  if (std::fclose(file) != 0 || written != bytes.size()) {
    throw std::runtime_error("cannot write " + path);
  }
}

// The path of a file that is removed in the end.
class ScratchFile {
 public:
  ScratchFile() : path_((std::filesystem::temp_directory_path() / unique_name()).string()) {}
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  static std::string unique_name() {
    return "pygpt2edge-test-" + std::to_string(std::random_device{}()) + ".gguf";
  }
  std::string path_;
};

}  // namespace gpt2edge::test
