// What every function of the C API does at its edge: exceptions become statuses, structs and
// buffers are checked.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "c_api/gpt2edge.h"

namespace gpt2edge::c_api {

// A buffer that is too small. -> GPT2EDGE_ERROR_BUFFER
class BufferError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller's interrupt function wants the pass to stop. -> GPT2EDGE_ERROR_INTERRUPTED
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The status of the exception that is being handled, whose message is kept for the thread.
gpt2edge_status status_of_exception() noexcept;

// Runs the body of a function of the API, which returns a status or nothing.
template <typename Body>
gpt2edge_status guarded(Body&& body) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return GPT2EDGE_OK;
    } else {
      return body();
    }
  } catch (...) {
    return status_of_exception();
  }
}

// Something that is to be read or written. Throws std::invalid_argument for null.
template <typename T>
T& required(T* pointer, const char* name) {
  if (pointer == nullptr) throw std::invalid_argument(message(name, " is null"));
  return *pointer;
}

inline std::string_view text_of(const char* text, size_t n_text, const char* name) {
  if (n_text == 0) return {};
  required(text, name);
  return n_text == GPT2EDGE_NUL ? std::string_view(text) : std::string_view(text, n_text);
}

template <typename T>
std::span<const T> array_of(const T* array, size_t n, const char* name) {
  if (n == 0) return {};
  required(array, name);
  if (n > PTRDIFF_MAX / sizeof(T)) {
    throw std::invalid_argument(message("the number of ", name, " is ", n, ", which is no size"));
  }
  return {array, n};
}

constexpr size_t kLargestStruct = 4096;  // a greater size is garbage

// A struct of this version from the caller's, which may be of an older or a newer one. `value` has
// the defaults.
template <typename T>
T read_struct(const T* given, T value, const char* name) {
  if (given == nullptr) return value;
  const size_t size = given->size;
  if (size < sizeof size || size > kLargestStruct) {
    throw std::invalid_argument(
        message("the size in ", name, " is ", size, "; give sizeof(", name, ")"));
  }
  const auto* bytes = reinterpret_cast<const char*>(given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] != 0) {
      throw UnsupportedError(message(name, " has fields that this version, ", gpt2edge_version(),
                                     ", does not know: leave them 0 or install a newer one"));
    }
  }
  std::memcpy(&value, given, std::min(size, sizeof(T)));
  value.size = sizeof(T);
  return value;
}

// Fills the caller's struct as far as it goes.
template <typename T>
void write_struct(T* out, T value, const char* name) {
  const size_t size = required(out, name).size;
  if (size < sizeof size || size > kLargestStruct) {
    throw std::invalid_argument(
        message("the size in ", name, " is ", size, "; give sizeof(", name, ")"));
  }
  value.size = size;
  std::memcpy(out, &value, std::min(size, sizeof(T)));
}

// Defaults for the caller's struct of `size` bytes.
template <typename T>
void init_struct(T* out, const T& defaults, size_t size, const char* name) {
  required(out, name);
  if (size < sizeof size || size > kLargestStruct) {
    throw std::invalid_argument(message("the size is ", size, "; give sizeof(", name, ")"));
  }
  std::memset(out, 0, size);
  out->size = size;
  write_struct(out, defaults, name);
}

// Copies an array out, or only counts where there is none.
template <typename T>
void write_array(std::span<const T> values, T* out, size_t capacity, size_t* n) {
  required(n, "the place for the number of elements") = values.size();
  if (out == nullptr || values.empty()) return;
  if (capacity < values.size()) {
    throw BufferError(
        message("the array has room for ", capacity, " elements, there are ", values.size()));
  }
  std::memcpy(out, values.data(), values.size_bytes());
}

}  // namespace gpt2edge::c_api
