#include "formats/ggml_blocks.h"

namespace gpt2edge {

const TypeTraits* type_traits(uint32_t type_id) {
  static constexpr TypeTraits kF32{"F32", 1, 4}, kF16{"F16", 1, 2}, kBF16{"BF16", 1, 2},
      kQ4_0{"Q4_0", 32, sizeof(BlockQ4_0)}, kQ4_1{"Q4_1", 32, sizeof(BlockQ4_1)},
      kQ5_0{"Q5_0", 32, sizeof(BlockQ5_0)}, kQ5_1{"Q5_1", 32, sizeof(BlockQ5_1)},
      kQ8_0{"Q8_0", 32, sizeof(BlockQ8_0)}, kQ4_K{"Q4_K", 256, sizeof(BlockQ4_K)},
      kQ5_K{"Q5_K", 256, sizeof(BlockQ5_K)}, kQ6_K{"Q6_K", 256, sizeof(BlockQ6_K)};
  switch (static_cast<TensorType>(type_id)) {
    case TensorType::F32:
      return &kF32;
    case TensorType::F16:
      return &kF16;
    case TensorType::BF16:
      return &kBF16;
    case TensorType::Q4_0:
      return &kQ4_0;
    case TensorType::Q4_1:
      return &kQ4_1;
    case TensorType::Q5_0:
      return &kQ5_0;
    case TensorType::Q5_1:
      return &kQ5_1;
    case TensorType::Q8_0:
      return &kQ8_0;
    case TensorType::Q4_K:
      return &kQ4_K;
    case TensorType::Q5_K:
      return &kQ5_K;
    case TensorType::Q6_K:
      return &kQ6_K;
  }
  return nullptr;
}

size_t row_bytes(TensorType type, size_t n_in) {
  const TypeTraits& traits = *type_traits(static_cast<uint32_t>(type));
  return n_in / static_cast<size_t>(traits.block_size) * static_cast<size_t>(traits.block_bytes);
}

}  // namespace gpt2edge
