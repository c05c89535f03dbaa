#include "formats/ggml_blocks.h"

namespace gpt2edge {

namespace {

struct KnownType {
  TensorType type;
  TypeTraits traits;
};

constexpr KnownType kKnownTypes[] = {
    {TensorType::F32, {"F32", 1, 4}},
    {TensorType::F16, {"F16", 1, 2}},
    {TensorType::BF16, {"BF16", 1, 2}},
    {TensorType::Q4_0, {"Q4_0", 32, sizeof(BlockQ4_0)}},
    {TensorType::Q4_1, {"Q4_1", 32, sizeof(BlockQ4_1)}},
    {TensorType::Q5_0, {"Q5_0", 32, sizeof(BlockQ5_0)}},
    {TensorType::Q5_1, {"Q5_1", 32, sizeof(BlockQ5_1)}},
    {TensorType::Q8_0, {"Q8_0", 32, sizeof(BlockQ8_0)}},
    {TensorType::Q4_K, {"Q4_K", 256, sizeof(BlockQ4_K)}},
    {TensorType::Q5_K, {"Q5_K", 256, sizeof(BlockQ5_K)}},
    {TensorType::Q6_K, {"Q6_K", 256, sizeof(BlockQ6_K)}},
};

}  // namespace

const TypeTraits* type_traits(uint32_t type_id) {
  for (const KnownType& known : kKnownTypes) {
    if (static_cast<uint32_t>(known.type) == type_id) return &known.traits;
  }
  return nullptr;
}

size_t row_bytes(TensorType type, size_t n_in) {
  const TypeTraits& traits = *type_traits(static_cast<uint32_t>(type));
  return n_in / static_cast<size_t>(traits.block_size) * static_cast<size_t>(traits.block_bytes);
}

}  // namespace gpt2edge
