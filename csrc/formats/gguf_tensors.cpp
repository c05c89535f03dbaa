#include "formats/gguf_tensors.h"

#include <algorithm>

namespace gpt2edge {
namespace {

// Larger than any file, and small enough that the sum of two such numbers does not overflow.
constexpr uint64_t kFarBeyond = uint64_t{1} << 62;

constexpr const char* kDamaged = ": the file is damaged, download or convert it again";

// a * b, or kFarBeyond when it is as much. b > 0.
uint64_t bounded_product(uint64_t a, uint64_t b) { return a < kFarBeyond / b ? a * b : kFarBeyond; }

std::vector<uint64_t> read_shape(Cursor& in, const std::string& name) {
  const auto n_dims = in.read<uint32_t>("the number of dimensions of tensor " + name);
  if (n_dims < 1 || n_dims > 4) {
    in.fail(message("tensor ", name, " has ", n_dims, " dimensions, expected 1 to 4", kDamaged));
  }
  std::vector<uint64_t> shape(n_dims);
  // GGUF writes the fastest dimension first.
  for (auto dim = shape.rbegin(); dim != shape.rend(); ++dim) {
    *dim = in.read<uint64_t>("the shape of tensor " + name);
    if (*dim == 0) in.fail(message("tensor ", name, " has a dimension of 0", kDamaged));
  }
  return shape;
}

TensorInfo read_tensor(Cursor& in) {
  TensorInfo tensor{};
  tensor.name = in.read_name("a tensor's name");
  tensor.shape = read_shape(in, tensor.name);
  const auto type_id = in.read<uint32_t>("the type of tensor " + tensor.name);
  tensor.offset = in.read<uint64_t>("the offset of tensor " + tensor.name);
  const TypeTraits* traits = type_traits(type_id);
  if (traits == nullptr) {
    in.fail_unsupported(message("tensor ", tensor.name, " has ggml type ", type_id,
                                ", which this program does not read: convert the original model to "
                                "q8_0 or q4_0"));
  }
  tensor.type = static_cast<TensorType>(type_id);
  const auto block_size = static_cast<uint64_t>(traits->block_size);
  if (tensor.n_in() % block_size != 0) {
    in.fail(message("tensor ", tensor.name, " has rows of ", tensor.n_in(), " numbers, expected a ",
                    "multiple of ", block_size, " for type ", traits->name, kDamaged));
  }
  tensor.n_bytes =
      bounded_product(tensor.n_in() / block_size, static_cast<uint64_t>(traits->block_bytes));
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
    tensor.n_bytes = bounded_product(tensor.n_bytes, tensor.shape[i]);
  }
  return tensor;
}

// Turns an offset within the data section into a place in the file.
void place(const Cursor& in, uint64_t start, uint64_t alignment, std::span<const std::byte> file,
           TensorInfo& tensor) {
  if (tensor.offset % alignment != 0) {
    in.fail(message("tensor ", tensor.name, " is at offset ", tensor.offset,
                    ", expected a multiple of the alignment ", alignment, kDamaged));
  }
  const uint64_t first = start + std::min(tensor.offset, kFarBeyond);
  const uint64_t end = first + tensor.n_bytes;
  if (end > file.size()) {
    in.fail(message("tensor ", tensor.name, " (", tensor.n_bytes, " bytes at offset ", first,
                    ") ends ", end - file.size(), " bytes after the file, which has ", file.size(),
                    ": it is truncated or damaged, download or convert it again"));
  }
  tensor.offset = first;
  tensor.data = file.data() + first;
}

void check_overlaps(const Cursor& in, const std::vector<TensorInfo>& tensors) {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorInfo &before = *order[i - 1], &after = *order[i];
    if (after.offset < before.offset + before.n_bytes) {
      in.fail(message("tensors ", before.name, " and ", after.name, " overlap at offset ",
                      after.offset, kDamaged));
    }
  }
}

}  // namespace

uint64_t TensorInfo::n_rows() const {
  uint64_t n = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) n *= shape[i];
  return n;
}

std::vector<TensorInfo> read_tensors(Cursor& in, uint64_t n_tensors, uint64_t alignment,
                                     std::span<const std::byte> file) {
  std::vector<TensorInfo> tensors;
  for (uint64_t i = 0; i < n_tensors; ++i) tensors.push_back(read_tensor(in));
  const uint64_t start = (in.position() + alignment - 1) / alignment * alignment;
  // From the last tensor: its message says how much of a truncated file is missing.
  for (auto tensor = tensors.rbegin(); tensor != tensors.rend(); ++tensor) {
    place(in, start, alignment, file, *tensor);
  }
  check_overlaps(in, tensors);
  return tensors;
}

}  // namespace gpt2edge
