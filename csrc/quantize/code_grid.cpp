#include "quantize/code_grid.h"

#include <cmath>

#include "quantize/level_sets.h"

namespace gpt2edge {
namespace {

// Steps above the greatest level's magnitude leave levels beyond the largest number unused; steps
// below clip it.
constexpr CodeSet kQ4_0{32, 32, -8, 7, nullptr, 0, 0, false, 5.5f, 0.125f, 29};
constexpr CodeSet kQ4_1{32, 32, 0, 15, nullptr, 0, 0, true, 13.0f, 0.125f, 25};
constexpr CodeSet kQ5_0{32, 32, -16, 15, nullptr, 0, 0, false, 12.0f, 0.25f, 22};
constexpr CodeSet kQ5_1{32, 32, 0, 31, nullptr, 0, 0, true, 28.0f, 0.25f, 21};
constexpr CodeSet kQ8_0{32, 32, -127, 127, nullptr, 0, 0, false, 120.0f, 0.25f, 33};
constexpr CodeSet kQ3_K{256, 16, -4, 3, nullptr, -32, 31, false, 2.5f, 0.125f, 19};
constexpr CodeSet kQ4_K{256, 32, 0, 15, nullptr, 0, 63, true, 13.0f, 0.125f, 25};
constexpr CodeSet kQ5_K{256, 32, 0, 31, nullptr, 0, 63, true, 28.0f, 0.25f, 21};
constexpr CodeSet kQ6_K{256, 16, -32, 31, nullptr, -128, 127, false, 27.0f, 0.5f, 14};
constexpr CodeSet kIQ4_NL{32, 32, -127, 113, kIQ4Table, 0, 0, false, 84.0f, 2.0f, 32};
constexpr CodeSet kIQ4_XS{256, 32, -127, 113, kIQ4Table, -32, 31, false, 84.0f, 2.0f, 32};

}  // namespace

const CodeSet* code_set(TensorType type) {
  switch (type) {
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
    case TensorType::Q3_K:
      return &kQ3_K;
    case TensorType::Q4_K:
      return &kQ4_K;
    case TensorType::Q5_K:
      return &kQ5_K;
    case TensorType::Q6_K:
      return &kQ6_K;
    case TensorType::IQ4_NL:
      return &kIQ4_NL;
    case TensorType::IQ4_XS:
      return &kIQ4_XS;
    default:
      return nullptr;
  }
}

int CodeGrid::nearest(int i, float x) const {
  const float step = scale[i / kGridPart];
  float inverse = step != 0.0f ? 1.0f / step : 0.0f;
  if (!std::isfinite(inverse)) inverse = 0.0f;
  const float scaled = (x - min[i / kGridPart]) * inverse;
  return with_levels(*set, [&](const auto& levels) { return static_cast<int>(levels(scaled)); });
}

}  // namespace gpt2edge
