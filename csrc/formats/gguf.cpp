#include "formats/gguf.h"

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace gpt2edge {
namespace {

// A 48-layer GPT-2 has 580 tensors and some 25 keys. An entry takes more bytes in memory than in
// the file; these limits keep a file of nothing but entries below a few megabytes of memory.
constexpr uint64_t kMaxKeys = 1 << 12;
constexpr uint64_t kMaxTensors = 1 << 14;

// The least a key takes: an 8-byte length, 1 byte of name, a 4-byte type, 1 byte of value.
constexpr uint64_t kLeastKey = 14;
// The least a tensor takes: 8 + 1, a 4-byte rank, 8 bytes of shape, a 4-byte type, an 8-byte
// offset.
constexpr uint64_t kLeastTensor = 33;

uint32_t read_version(Cursor& in) {
  if (in.file_size() == 0) in.fail("the file is empty: download or convert it again");
  const auto magic = in.read<uint32_t>("the header");
  if (magic != 0x46554747u) {  // "GGUF"
    in.fail(
        "not a GGUF file: it does not begin with GGUF (pygpt2edge convert makes one from a "
        "checkpoint)");
  }
  const auto version = in.read<uint32_t>("the header");
  if (version == 2 || version == 3) return version;
  if (version == 0x02000000u || version == 0x03000000u) {
    in.fail_unsupported(
        "a big-endian GGUF file, expected little-endian: convert the original model");
  }
  in.fail_unsupported(
      message("GGUF version ", version, ", expected 2 or 3: convert the original model again"));
}

void check_entries(const Cursor& in, uint64_t n, uint64_t most, uint64_t least,
                   const std::string& what) {
  in.check_count(n, least, what);
  if (n > most) {
    in.fail(message(what, " is ", n, ", expected at most ", most,
                    ": the file is damaged, download or convert it again"));
  }
}

std::optional<int64_t> as_integer(const GgufValue& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return *i;
  const auto* u = std::get_if<uint64_t>(&value);
  if (u == nullptr || *u > std::numeric_limits<int64_t>::max()) return std::nullopt;
  return static_cast<int64_t>(*u);
}

}  // namespace

GgufFile::GgufFile(std::string path, MappedFile file)
    : path_(std::move(path)), file_(std::move(file)) {
  checked([this] { read_header(); });
}

void GgufFile::read_header() {
  Cursor in(path_, file_.bytes());
  version_ = read_version(in);
  const auto n_tensors = in.read<uint64_t>("the tensor count");
  const auto n_keys = in.read<uint64_t>("the metadata count");
  check_entries(in, n_keys, kMaxKeys, kLeastKey, "the metadata count");
  check_entries(in, n_tensors, kMaxTensors, kLeastTensor, "the tensor count");
  read_metadata(in, n_keys);
  tensors_ = read_tensors(in, n_tensors, alignment(in), file_.bytes());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!tensor_index_.emplace(tensors_[i].name, i).second) {
      in.fail("the tensor " + tensors_[i].name +
              " is there twice: the file is damaged, download or convert it again");
    }
  }
}

void GgufFile::read_metadata(Cursor& in, uint64_t n_keys) {
  for (uint64_t i = 0; i < n_keys; ++i) {
    const std::string key = in.read_name("a metadata key");
    if (!metadata_.emplace(key, read_value(in, key)).second) {
      in.fail("the metadata key " + key +
              " is there twice: the file is damaged, download or convert it again");
    }
  }
}

uint64_t GgufFile::alignment(const Cursor& in) const {
  const GgufValue* found = find("general.alignment");
  if (found == nullptr) return 32;
  constexpr uint64_t kLargest = 1 << 20;
  const auto* value = std::get_if<uint64_t>(found);
  if (value == nullptr || *value == 0 || *value > kLargest || (*value & (*value - 1)) != 0) {
    in.fail(message("general.alignment is not a power of two from 1 to ", kLargest,
                    ": the file is damaged, download or convert it again"));
  }
  return *value;
}

const GgufValue* GgufFile::find(const std::string& key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

const TensorInfo* GgufFile::find_tensor(const std::string& name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& GgufFile::tensor(const std::string& name) const {
  if (const TensorInfo* found = find_tensor(name)) return *found;
  throw FormatError(message(path_, ": there is no tensor ", name,
                            ": the file is incomplete, convert the model again"));
}

const GgufValue& GgufFile::value(const std::string& key) const {
  if (const GgufValue* found = find(key)) return *found;
  throw FormatError(message(path_, ": there is no metadata key ", key,
                            ": the file is incomplete, convert the model again"));
}

void GgufFile::fail_type(const std::string& key, const std::string& expected) const {
  throw FormatError(message(path_, ": the metadata key ", key, " is not ", expected,
                            ": the file is damaged, convert the model again"));
}

uint32_t GgufFile::get_u32(const std::string& key) const {
  constexpr uint32_t kMost = std::numeric_limits<uint32_t>::max();
  const auto integer = as_integer(value(key));
  if (!integer || *integer < 0 || *integer > kMost) {
    fail_type(key, message("a whole number from 0 to ", kMost));
  }
  return static_cast<uint32_t>(*integer);
}

float GgufFile::get_f32(const std::string& key) const {
  const auto* number = std::get_if<double>(&value(key));
  if (number == nullptr || std::fabs(*number) > std::numeric_limits<float>::max()) {
    fail_type(key, "a 32-bit float");
  }
  return static_cast<float>(*number);
}

std::string_view GgufFile::get_string(const std::string& key) const {
  const auto* text = std::get_if<std::string_view>(&value(key));
  if (text == nullptr) fail_type(key, "a string");
  return *text;
}

const GgufArray& GgufFile::array(const std::string& key) const {
  const auto* found = std::get_if<GgufArray>(&value(key));
  if (found == nullptr) fail_type(key, "an array");
  return *found;
}

std::vector<std::string_view> GgufFile::get_strings(const std::string& key) const {
  const GgufArray& strings = array(key);
  std::vector<std::string_view> out;
  for_each(strings, [&](const GgufValue& element) {
    const auto* text = std::get_if<std::string_view>(&element);
    if (text == nullptr) fail_type(key, "an array of strings");
    if (out.empty()) out.reserve(static_cast<size_t>(strings.n));
    out.push_back(*text);
  });
  return out;
}

std::vector<int64_t> GgufFile::get_integers(const std::string& key) const {
  const GgufArray& integers = array(key);
  std::vector<int64_t> out;
  for_each(integers, [&](const GgufValue& element) {
    const auto integer = as_integer(element);
    if (!integer) fail_type(key, "an array of 64-bit integers");
    if (out.empty()) out.reserve(static_cast<size_t>(integers.n));
    out.push_back(*integer);
  });
  return out;
}

}  // namespace gpt2edge
