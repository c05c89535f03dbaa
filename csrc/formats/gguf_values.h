// The values of GGUF metadata: numbers, truth values, strings, and arrays of those.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "formats/gguf_cursor.h"

namespace gpt2edge {

// An array whose elements have been checked to lie inside the file, still undecoded.
struct GgufArray {
  uint32_t element_type;  // GGUF's value type id
  uint64_t n;
  const std::byte* data;
};

// Numbers are widened; a string views the file.
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;

// Reads a type and the value that follows it. Arrays of arrays are refused.
GgufValue read_value(Cursor& in, const std::string& key);

// Decodes the element of an array at p, and steps p over it.
GgufValue read_element(const GgufArray& array, const std::byte*& p);

// Calls visit(GgufValue) for each element, in order.
template <typename Visit>
void for_each(const GgufArray& array, Visit visit) {
  const std::byte* p = array.data;
  for (uint64_t i = 0; i < array.n; ++i) visit(read_element(array, p));
}

}  // namespace gpt2edge
