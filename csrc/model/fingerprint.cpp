#include "model/fingerprint.h"

#include <algorithm>
#include <span>

#include "formats/crc32c.h"

namespace gpt2edge {
namespace {

constexpr size_t kSampleBytes = 1024;

uint32_t extended(uint32_t crc, std::span<const std::byte> bytes) {
  return crc32c(crc, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

template <typename T>
uint32_t extended(uint32_t crc, const T& value) {
  return extended(crc, std::as_bytes(std::span(&value, 1)));
}

uint64_t fingerprint_of_tensors(const GgufFile& file) {
  uint32_t first = 0, last = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    uint32_t head = extended(0, std::as_bytes(std::span(tensor.name)));
    head = extended(head, static_cast<uint32_t>(tensor.type));
    for (const uint64_t n : tensor.shape) head = extended(head, n);
    const std::span<const std::byte> data(tensor.data, static_cast<size_t>(tensor.n_bytes));
    const size_t n = std::min(data.size(), kSampleBytes);
    first = extended(extended(first, head), data.first(n));
    last = extended(extended(last, head), data.last(n));
  }
  return uint64_t{first} << 32 | last;
}

}  // namespace

uint64_t fingerprint(const GgufFile& file) {
  return file.checked([&file] { return fingerprint_of_tensors(file); });
}

}  // namespace gpt2edge
