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
    {TensorType::Q2_K, {"Q2_K", 256, sizeof(BlockQ2_K)}},
    {TensorType::Q3_K, {"Q3_K", 256, sizeof(BlockQ3_K)}},
    {TensorType::Q4_K, {"Q4_K", 256, sizeof(BlockQ4_K)}},
    {TensorType::Q5_K, {"Q5_K", 256, sizeof(BlockQ5_K)}},
    {TensorType::Q6_K, {"Q6_K", 256, sizeof(BlockQ6_K)}},
    {TensorType::IQ1_S, {"IQ1_S", 256, sizeof(BlockIQ1_S)}},
    {TensorType::IQ1_M, {"IQ1_M", 256, sizeof(BlockIQ1_M)}},
    {TensorType::IQ2_XXS, {"IQ2_XXS", 256, sizeof(BlockIQ2_XXS)}},
    {TensorType::IQ2_XS, {"IQ2_XS", 256, sizeof(BlockIQ2_XS)}},
    {TensorType::IQ2_S, {"IQ2_S", 256, sizeof(BlockIQ2_S)}},
    {TensorType::IQ3_XXS, {"IQ3_XXS", 256, sizeof(BlockIQ3_XXS)}},
    {TensorType::IQ3_S, {"IQ3_S", 256, sizeof(BlockIQ3_S)}},
    {TensorType::IQ4_NL, {"IQ4_NL", 32, sizeof(BlockIQ4_NL)}},
    {TensorType::IQ4_XS, {"IQ4_XS", 256, sizeof(BlockIQ4_XS)}},
    {TensorType::TQ1_0, {"TQ1_0", 256, sizeof(BlockTQ1_0)}},
    {TensorType::TQ2_0, {"TQ2_0", 256, sizeof(BlockTQ2_0)}},
    {TensorType::MXFP4, {"MXFP4", 32, sizeof(BlockMXFP4)}},
    {TensorType::NVFP4, {"NVFP4", 64, sizeof(BlockNVFP4)}},
    {TensorType::Q1_0, {"Q1_0", 128, sizeof(BlockQ1_0)}},
    {TensorType::Q2_0, {"Q2_0", 64, sizeof(BlockQ2_0)}},
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
