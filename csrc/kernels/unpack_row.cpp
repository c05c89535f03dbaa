#include <cstring>

#include "base/half.h"
#include "kernels/panel_forms.h"

namespace gpt2edge::kernels {
namespace {

float half_at(const uint8_t* p) {
  uint16_t half;
  std::memcpy(&half, p, sizeof half);
  return half_to_float(half);
}

float float_at(const uint8_t* p) {
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// The scale of inputs 16 h .. 16 h + 15 of a block, for row r.
float scale_of(const PanelLayout& layout, const uint8_t* panel, const BlockPlace& place, int r,
               int h) {
  const uint8_t* scales = panel + place.scales;
  switch (layout.form) {
    case WeightForm::kInt8Affine:
      return float_at(scales + 4 * r);
    case WeightForm::kTable4Halves:
      return float_at(scales + 64 * h + 4 * r);
    case WeightForm::kTable4Super:
      return float_at(panel + place.unit + 4 * r) * static_cast<int8_t>(scales[r]);
    case WeightForm::kInt4Super:
      return half_at(panel + place.unit + 2 * r) * scales[r];
    case WeightForm::kInt2Super:
    case WeightForm::kInt3Super:
    case WeightForm::kInt6Super:
      return half_at(panel + place.unit + 2 * r) * static_cast<int8_t>(scales[16 * h + r]);
    default:
      return half_at(scales + 2 * r);
  }
}

float min_of(const PanelLayout& layout, const uint8_t* panel, const BlockPlace& place, int r,
             int h) {
  const uint8_t* scales = panel + place.scales;
  if (layout.form == WeightForm::kInt8Affine) return float_at(scales + 64 + 4 * r);
  if (!has_minima(layout.form)) return 0.0f;
  const int at = layout.form == WeightForm::kInt4Super ? 16 : 32 + 16 * h;
  return -(half_at(panel + place.unit + 32 + 2 * r) * scales[at + r]);
}

int code_of(const PanelLayout& layout, const uint8_t* codes, int code_bias, int i) {
  const int step = i / 4;
  if (has_codes8(layout.form)) {
    const uint8_t stored = codes[64 * step + i % 4];
    return code_bias == 0 ? static_cast<int8_t>(stored) : stored - code_bias;
  }
  const auto two_bits = [&](const uint8_t* p) {
    return p[64 * (i / 16) + i % 4] >> step % 4 * 2 & 3;
  };
  if (layout.form == WeightForm::kInt6Super) {
    const uint8_t* half = codes + 192 * (i / 16) + i % 4;
    const int code = step % 4 < 3 ? half[64 * (step % 4)] & 63
                                  : half[0] >> 6 | half[64] >> 6 << 2 | half[128] >> 6 << 4;
    return code - code_offset(layout.form);
  }
  const uint8_t both = codes[64 * (step % 4) + i % 4];
  const int nibble = i < 16 ? both & 15 : both >> 4;
  switch (layout.form) {
    case WeightForm::kInt2Super:
      return two_bits(codes);
    case WeightForm::kInt3Super:
      return (two_bits(codes) | (codes[128 + i % 4] >> step & 1) << 2) - 4;
    default:
      return layout.table != nullptr ? layout.table[nibble] : nibble - code_offset(layout.form);
  }
}

void unpack_block(const PanelLayout& layout, const uint8_t* panel, int code_bias, int b, int r,
                  float* out) {
  const BlockPlace place(layout, b);
  const uint8_t* codes = panel + place.codes + 4 * r;
  for (int h = 0; h < 2; ++h) {
    const float scale = scale_of(layout, panel, place, r, h);
    const float min = min_of(layout, panel, place, r, h);
    for (int i = 16 * h; i < 16 * h + 16; ++i) {
      out[i] = scale * static_cast<float>(code_of(layout, codes, code_bias, i)) + min;
    }
  }
}

}  // namespace

void unpack_row(const PackedMatrix& matrix, int row, float* out) {
  const PanelLayout& layout = matrix.layout;
  const uint8_t* panel = matrix.panels + layout.panel_bytes * static_cast<size_t>(row / kPanelRows);
  const int r = row % kPanelRows;
  if (!is_float(layout.form)) {
    for (int b = 0; b < layout.n_in / kBlockInputs; ++b) {
      unpack_block(layout, panel, matrix.code_bias, b, r, out + kBlockInputs * b);
    }
    return;
  }
  for (int k = 0; k < layout.n_in; ++k) {
    const size_t place = static_cast<size_t>(k) * kPanelRows + static_cast<size_t>(r);
    if (layout.form == WeightForm::kF32) {
      std::memcpy(out + k, panel + 4 * place, 4);
    } else {
      uint16_t bits;
      std::memcpy(&bits, panel + 2 * place, sizeof bits);
      out[k] = layout.form == WeightForm::kF16 ? half_to_float(bits) : bfloat16_to_float(bits);
    }
  }
}

}  // namespace gpt2edge::kernels
