#include "formats/gguf_values.h"

namespace gpt2edge {
namespace {

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
    case kBool:
      return 1;
    case kUint16:
    case kInt16:
      return 2;
    case kUint32:
    case kInt32:
    case kFloat32:
      return 4;
    case kUint64:
    case kInt64:
    case kFloat64:
      return 8;
    default:
      return 0;
  }
}

GgufValue decode_fixed(uint32_t type, const std::byte* p) {
  switch (type) {
    case kUint8:
      return uint64_t{load<uint8_t>(p)};
    case kUint16:
      return uint64_t{load<uint16_t>(p)};
    case kUint32:
      return uint64_t{load<uint32_t>(p)};
    case kUint64:
      return load<uint64_t>(p);
    case kInt8:
      return int64_t{load<int8_t>(p)};
    case kInt16:
      return int64_t{load<int16_t>(p)};
    case kInt32:
      return int64_t{load<int32_t>(p)};
    case kInt64:
      return load<int64_t>(p);
    case kFloat32:
      return double{load<float>(p)};
    case kFloat64:
      return load<double>(p);
    default:
      return load<uint8_t>(p) != 0;  // kBool
  }
}

// Steps over n values of one fixed-size type.
const std::byte* take_fixed(Cursor& in, uint32_t type, uint64_t n, const std::string& key) {
  const std::byte* data = in.take(n * fixed_size(type), key);
  for (uint64_t i = 0; type == kBool && i < n; ++i) {
    if (load<uint8_t>(data + i) > 1) {
      in.fail(message(key, " holds the truth value ", int{load<uint8_t>(data + i)},
                      ", expected 0 or 1: the file is damaged, download or convert it again"));
    }
  }
  return data;
}

GgufArray read_array(Cursor& in, const std::string& key) {
  GgufArray array{};
  array.element_type = in.read<uint32_t>("the element type of " + key);
  array.n = in.read<uint64_t>("the length of " + key);
  const size_t size = fixed_size(array.element_type);
  if (size == 0 && array.element_type != kString) {
    in.fail(message(key, " is an array of value type ", array.element_type,
                    ", expected numbers, truth values or strings: the file is damaged, download or "
                    "convert it again"));
  }
  in.check_count(array.n, size > 0 ? size : sizeof(uint64_t), "the length of " + key);
  if (size > 0) {
    array.data = take_fixed(in, array.element_type, array.n, key);
    return array;
  }
  array.data = in.take(0, key);
  for (uint64_t i = 0; i < array.n; ++i) in.read_string(key);
  return array;
}

}  // namespace

GgufValue read_value(Cursor& in, const std::string& key) {
  const auto type = in.read<uint32_t>("the type of " + key);
  if (type == kString) return in.read_string(key);
  if (type == kArray) return read_array(in, key);
  if (fixed_size(type) == 0) {
    in.fail(message(key, " has value type ", type,
                    ", expected 0 to 12: the file is damaged, download or convert it again"));
  }
  return decode_fixed(type, take_fixed(in, type, 1, key));
}

GgufValue read_element(const GgufArray& array, const std::byte*& p) {
  // read_array has walked these elements to their end: nothing is left to check.
  if (array.element_type != kString) {
    const std::byte* element = p;
    p += fixed_size(array.element_type);
    return decode_fixed(array.element_type, element);
  }
  const auto length = static_cast<size_t>(load<uint64_t>(p));
  const std::string_view text(reinterpret_cast<const char*>(p + sizeof(uint64_t)), length);
  p += sizeof(uint64_t) + length;
  return text;
}

}  // namespace gpt2edge
