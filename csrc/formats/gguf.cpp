#include "formats/gguf.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"

namespace gpt2edge {
namespace {

// GGUF's value types.
enum ValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Bytes of a value of fixed size; 0 for strings, arrays and unknown types.
size_t fixed_size(uint32_t type) {
  switch (type) {
    case kUint8:
    case kInt8:
    case kBool: return 1;
    case kUint16:
    case kInt16: return 2;
    case kUint32:
    case kInt32:
    case kFloat32: return 4;
    case kUint64:
    case kInt64:
    case kFloat64: return 8;
    default: return 0;
  }
}

constexpr size_t kMaxNameLength = 1024;  // of keys and tensors; ggml's own limit for names is 64
constexpr uint64_t kMaxEntries = 1 << 16;  // keys or tensors; a 48-layer GPT-2 has 580 tensors

template <typename T>
T load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

GgufValue decode_fixed(uint32_t type, const std::byte* p) {
  switch (type) {
    case kUint8: return uint64_t{load<uint8_t>(p)};
    case kUint16: return uint64_t{load<uint16_t>(p)};
    case kUint32: return uint64_t{load<uint32_t>(p)};
    case kUint64: return load<uint64_t>(p);
    case kInt8: return int64_t{load<int8_t>(p)};
    case kInt16: return int64_t{load<int16_t>(p)};
    case kInt32: return int64_t{load<int32_t>(p)};
    case kInt64: return load<int64_t>(p);
    case kFloat32: return double{load<float>(p)};
    case kFloat64: return load<double>(p);
    default: return load<uint8_t>(p) != 0;  // kBool
  }
}

// Reads forward through the file and never past its end.
class Cursor {
 public:
  Cursor(const std::string& path, std::span<const std::byte> bytes) : path_(path), bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  const std::byte* take(uint64_t size, const std::string& what) {
    if (size > remaining()) {
      fail(message(what, " needs ", size, " bytes at offset ", position_, ", the file has ",
                   remaining(), " left: it is truncated or damaged, fetch or convert it again"));
    }
    const std::byte* p = bytes_.data() + position_;
    position_ += static_cast<size_t>(size);
    return p;
  }

  template <typename T>
  T read(const std::string& what) {
    return load<T>(take(sizeof(T), what));
  }

  std::string_view read_string(const std::string& what) {
    const auto length = read<uint64_t>("the length of " + what);
    return {reinterpret_cast<const char*>(take(length, what)), static_cast<size_t>(length)};
  }

  std::string read_name(const std::string& what) {
    const std::string_view name = read_string(what);
    if (name.empty() || name.size() > kMaxNameLength) {
      fail(message(what, " has ", name.size(), " bytes, expected 1 to ", kMaxNameLength,
                   ": the file is damaged"));
    }
    return std::string(name);
  }

  // A count of things that take at least `least` bytes each.
  uint64_t checked_count(uint64_t count, uint64_t least, const std::string& what) const {
    if (count > remaining() / least) {
      fail(message(what, " is ", count, ", more than the ", remaining(),
                   " bytes left in the file can hold: the file is damaged"));
    }
    return count;
  }

  [[noreturn]] void fail(const std::string& text) const {
    throw FormatError(path_ + ": " + text);
  }

 private:
  const std::string& path_;
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

GgufArray read_array(Cursor& in, const std::string& key) {
  GgufArray array{};
  array.element_type = in.read<uint32_t>("the element type of " + key);
  array.n = in.read<uint64_t>("the length of " + key);
  const size_t size = fixed_size(array.element_type);
  if (size == 0 && array.element_type != kString) {
    in.fail(message(key, " is an array of type ", array.element_type,
                    ", which this program does not read: the file is damaged"));
  }
  in.checked_count(array.n, size > 0 ? size : sizeof(uint64_t), "the length of " + key);
  if (size > 0) {
    array.data = in.take(array.n * size, key);
    return array;
  }
  array.data = in.take(0, key);
  for (uint64_t i = 0; i < array.n; ++i) in.read_string(key);
  return array;
}

GgufValue read_value(Cursor& in, const std::string& key) {
  const auto type = in.read<uint32_t>("the type of " + key);
  if (type == kString) return in.read_string(key);
  if (type == kArray) return read_array(in, key);
  const size_t size = fixed_size(type);
  if (size == 0) {
    in.fail(message(key, " has the unknown value type ", type, ": the file is damaged"));
  }
  return decode_fixed(type, in.take(size, key));
}

std::vector<uint64_t> read_shape(Cursor& in, const std::string& name) {
  const auto n_dims = in.read<uint32_t>("the dimensions of tensor " + name);
  if (n_dims < 1 || n_dims > 4) {
    in.fail(message("tensor ", name, " has ", n_dims, " dimensions, expected 1 to 4"));
  }
  std::vector<uint64_t> shape(n_dims);
  // GGUF writes the fastest dimension first.
  for (auto dim = shape.rbegin(); dim != shape.rend(); ++dim) {
    *dim = in.read<uint64_t>("the shape of tensor " + name);
    if (*dim == 0) in.fail(message("tensor ", name, " has a dimension of 0"));
  }
  return shape;
}

// The bytes that a tensor of this type and shape takes, or nothing if they exceed `limit`.
std::optional<uint64_t> byte_size(const TypeTraits& traits, const std::vector<uint64_t>& shape,
                                  uint64_t limit) {
  uint64_t size = shape.back() / static_cast<uint64_t>(traits.block_size);
  const auto multiply = [&](uint64_t factor) {
    if (size > limit / factor) return false;
    size *= factor;
    return true;
  };
  if (!multiply(static_cast<uint64_t>(traits.block_bytes))) return std::nullopt;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    if (!multiply(shape[i])) return std::nullopt;
  }
  return size <= limit ? std::optional(size) : std::nullopt;
}

TensorInfo read_tensor_info(Cursor& in, uint64_t file_size) {
  TensorInfo tensor{};
  tensor.name = in.read_name("a tensor's name");
  tensor.shape = read_shape(in, tensor.name);
  const auto type_id = in.read<uint32_t>("the type of tensor " + tensor.name);
  tensor.offset = in.read<uint64_t>("the offset of tensor " + tensor.name);
  const TypeTraits* traits = type_traits(type_id);
  if (traits == nullptr) {
    throw UnsupportedError(message("tensor ", tensor.name, " has ggml type ", type_id,
                                   ", which this program does not read: convert the model to q8_0 "
                                   "or q4_0"));
  }
  tensor.type = static_cast<TensorType>(type_id);
  if (tensor.n_in() % static_cast<uint64_t>(traits->block_size) != 0) {
    in.fail(message("tensor ", tensor.name, " has rows of ", tensor.n_in(), " numbers, but ",
                    traits->name, " stores them ", traits->block_size, " at a time"));
  }
  const auto size = byte_size(*traits, tensor.shape, file_size);
  if (!size) {
    in.fail(message("tensor ", tensor.name, " is larger than the file (", file_size,
                    " bytes): it is truncated or damaged, fetch or convert it again"));
  }
  tensor.n_bytes = *size;
  return tensor;
}

size_t alignment_of(const Cursor& in, const std::map<std::string, GgufValue>& metadata) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return 32;
  const auto* value = std::get_if<uint64_t>(&found->second);
  constexpr uint64_t kLargest = 1 << 20;
  if (value == nullptr || *value == 0 || *value > kLargest || (*value & (*value - 1)) != 0) {
    in.fail("general.alignment is not a power of two between 1 and 1048576: the file is damaged");
  }
  return static_cast<size_t>(*value);
}

// Turns offsets within the data section into places in the file, and looks at every one of them.
void place_tensors(const Cursor& in, std::span<const std::byte> bytes, size_t alignment,
                   std::vector<TensorInfo>& tensors) {
  const uint64_t size = bytes.size();
  const uint64_t start = (in.position() + alignment - 1) / alignment * alignment;
  for (TensorInfo& tensor : tensors) {
    if (tensor.offset % alignment != 0) {
      in.fail(message("tensor ", tensor.name, " is at offset ", tensor.offset,
                      ", not a multiple of the alignment ", alignment, ": the file is damaged"));
    }
    const bool inside = start <= size && tensor.offset <= size - start &&
                        tensor.n_bytes <= size - start - tensor.offset;
    if (!inside) {
      in.fail(message("tensor ", tensor.name, " (", tensor.n_bytes, " bytes at offset ",
                      tensor.offset, " of the data) reaches past the end of the file (", size,
                      " bytes): it is truncated, fetch or convert it again"));
    }
    tensor.offset += start;
    tensor.data = bytes.data() + tensor.offset;
  }
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->offset < order[i - 1]->offset + order[i - 1]->n_bytes) {
      in.fail(message("tensors ", order[i - 1]->name, " and ", order[i]->name,
                      " overlap: the file is damaged"));
    }
  }
}

uint32_t read_header(Cursor& in) {
  const auto magic = in.read<uint32_t>("the header");
  if (magic != 0x46554747u) {  // "GGUF"
    in.fail("not a GGUF file: it does not begin with GGUF (a checkpoint is converted first, with "
            "pygpt2edge convert)");
  }
  const auto version = in.read<uint32_t>("the header");
  if (version == 2 || version == 3) return version;
  if ((version & 0xFFFFu) == 0) in.fail("a big-endian GGUF file: convert the model again");
  throw UnsupportedError(
      message("GGUF version ", version, "; versions 2 and 3 are read: convert the model again"));
}

}  // namespace

uint64_t TensorInfo::n_rows() const {
  uint64_t n = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) n *= shape[i];
  return n;
}

GgufFile GgufFile::open(const std::string& path) {
  try {
    return GgufFile(path);
  } catch (const UnsupportedError& error) {
    const std::string text = error.what();
    throw UnsupportedError(path + ": " + text);
  }
}

GgufFile::GgufFile(const std::string& path) : path_(path), file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.empty()) throw FormatError(path + ": the file is empty");
  Cursor in(path_, bytes);
  version_ = read_header(in);
  const auto n_tensors = in.read<uint64_t>("the tensor count");
  const auto n_keys = in.read<uint64_t>("the metadata count");
  // The least a key takes: an 8-byte length, 1 byte of name, a 4-byte type, 1 byte of value; the
  // least a tensor takes: 8 + 1, a 4-byte rank, 8 bytes of shape, a 4-byte type, an 8-byte offset.
  in.checked_count(n_keys, 14, "the metadata count");
  in.checked_count(n_tensors, 33, "the tensor count");
  if (std::max(n_keys, n_tensors) > kMaxEntries) {
    in.fail(message("there are ", n_keys, " metadata keys and ", n_tensors, " tensors, at most ",
                    kMaxEntries, " of each are read: the file is damaged"));
  }

  for (uint64_t i = 0; i < n_keys; ++i) {
    std::string key = in.read_name("a metadata key");
    GgufValue value = read_value(in, key);
    if (!metadata_.emplace(key, std::move(value)).second) {
      in.fail("the metadata key " + key + " is there twice: the file is damaged");
    }
  }
  for (uint64_t i = 0; i < n_tensors; ++i) {
    tensors_.push_back(read_tensor_info(in, bytes.size()));
    if (!tensor_index_.emplace(tensors_.back().name, i).second) {
      in.fail("the tensor " + tensors_.back().name + " is there twice: the file is damaged");
    }
  }
  place_tensors(in, bytes, alignment_of(in, metadata_), tensors_);
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

const GgufArray& GgufFile::array(const std::string& key) const {
  if (const auto* found = std::get_if<GgufArray>(&value(key))) return *found;
  throw FormatError(message(path_, ": metadata key ", key, " is not an array"));
}

uint32_t GgufFile::get_u32(const std::string& key) const {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  const GgufValue& found = value(key);
  if (const auto* u = std::get_if<uint64_t>(&found); u != nullptr && *u <= kMost) {
    return static_cast<uint32_t>(*u);
  }
  if (const auto* i = std::get_if<int64_t>(&found);
      i != nullptr && *i >= 0 && static_cast<uint64_t>(*i) <= kMost) {
    return static_cast<uint32_t>(*i);
  }
  throw FormatError(message(path_, ": metadata key ", key, " is not a whole number from 0 to ",
                            kMost, ": the file is damaged"));
}

float GgufFile::get_f32(const std::string& key) const {
  if (const auto* x = std::get_if<double>(&value(key))) return static_cast<float>(*x);
  throw FormatError(message(path_, ": metadata key ", key, " is not a float"));
}

std::string_view GgufFile::get_string(const std::string& key) const {
  if (const auto* text = std::get_if<std::string_view>(&value(key))) return *text;
  throw FormatError(message(path_, ": metadata key ", key, " is not a string"));
}

std::vector<std::string_view> GgufFile::get_strings(const std::string& key) const {
  const GgufArray& found = array(key);
  if (found.element_type != kString) {
    throw FormatError(message(path_, ": metadata key ", key, " is not an array of strings"));
  }
  std::vector<std::string_view> out;
  out.reserve(static_cast<size_t>(found.n));
  const std::byte* p = found.data;  // read_array has walked these strings to their end
  for (uint64_t i = 0; i < found.n; ++i) {
    const auto length = static_cast<size_t>(load<uint64_t>(p));
    out.emplace_back(reinterpret_cast<const char*>(p + sizeof(uint64_t)), length);
    p += sizeof(uint64_t) + length;
  }
  return out;
}

std::vector<int64_t> GgufFile::get_integers(const std::string& key) const {
  const GgufArray& found = array(key);
  const size_t size = fixed_size(found.element_type);
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(found.n));
  for (uint64_t i = 0; i < found.n && size > 0; ++i) {
    const GgufValue element = decode_fixed(found.element_type, found.data + i * size);
    if (const auto* u = std::get_if<uint64_t>(&element)) {
      out.push_back(static_cast<int64_t>(*u));
    } else if (const auto* s = std::get_if<int64_t>(&element)) {
      out.push_back(*s);
    } else {
      break;
    }
  }
  if (out.size() != found.n) {
    throw FormatError(message(path_, ": metadata key ", key, " is not an array of integers"));
  }
  return out;
}

}  // namespace gpt2edge
