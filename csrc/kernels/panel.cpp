#include "kernels/panel.h"

#include <cstring>

#include "base/half.h"
#include "formats/block_codes.h"

namespace gpt2edge::kernels {
namespace {

// Float types keep their bits: number k of row r goes to place (k, r).
template <typename Bits>
void pack_floats(const PanelLayout& layout, const std::byte* rows, int n_rows, uint8_t* panel) {
  const auto n_in = static_cast<size_t>(layout.n_in);
  auto* out = reinterpret_cast<Bits*>(panel);
  for (size_t r = 0; r < kPanelRows; ++r) {
    const std::byte* row = rows + r * n_in * sizeof(Bits);
    for (size_t k = 0; k < n_in; ++k) {
      Bits bits = 0;
      if (r < static_cast<size_t>(n_rows)) std::memcpy(&bits, row + k * sizeof bits, sizeof bits);
      out[k * kPanelRows + r] = bits;
    }
  }
}

void put_half(uint8_t* to, uint16_t half) { std::memcpy(to, &half, sizeof half); }
void put_float(uint8_t* to, float value) { std::memcpy(to, &value, sizeof value); }

// Where a block lies in its panel: what belongs to row 0; the other rows follow.
struct BlockPlace {
  BlockPlace(const PanelLayout& layout, int b) {
    const int i = b % layout.unit_blocks;
    const size_t unit = layout.unit_bytes * static_cast<size_t>(b / layout.unit_blocks);
    scales = unit + static_cast<size_t>(i * layout.block_scales * layout.scale_bytes * kPanelRows);
    mins = unit + layout.mins_offset;
    codes = unit + layout.codes_offset + layout.code_bytes * static_cast<size_t>(i);
  }

  // The scale of row r, or of its half h (inputs 16 h ..) in the fine form.
  size_t scale(const PanelLayout& layout, int r, int h) const {
    return scales + static_cast<size_t>((h * kPanelRows + r) * layout.scale_bytes);
  }
  size_t min(int r) const { return mins + static_cast<size_t>(r) * sizeof(float); }
  // The first codes of row r: those of a step's four inputs, 64 bytes before the next.
  size_t code(int r) const { return codes + static_cast<size_t>(4 * r); }

  size_t scales, mins, codes;
};

// Q4_0 stores its nibbles in the panel's own order: they are moved as they are.
void pack_q4_0(const PanelLayout& layout, const std::byte* rows, int n_rows, uint8_t* panel) {
  const int n_blocks = layout.n_in / kBlockInputs;
  const size_t row_size = sizeof(BlockQ4_0) * static_cast<size_t>(n_blocks);
  for (int b = 0; b < n_blocks; ++b, rows += sizeof(BlockQ4_0)) {
    const BlockPlace place(layout, b);
    for (int r = 0; r < n_rows; ++r) {
      BlockQ4_0 block;
      std::memcpy(&block, rows + row_size * static_cast<size_t>(r), sizeof block);
      put_half(panel + place.scale(layout, r, 0), block.d);
      uint8_t* codes = panel + place.code(r);
      for (int step = 0; step < 4; ++step) std::memcpy(codes + 64 * step, block.qs + 4 * step, 4);
    }
  }
}

void put_codes(const int8_t* code, uint32_t bias_bits, uint8_t* to) {
  for (int step = 0; step < 8; ++step) {
    uint32_t four;
    std::memcpy(&four, code + 4 * step, sizeof four);
    four ^= bias_bits;
    std::memcpy(to + 64 * step, &four, sizeof four);
  }
}

void put_scales(const PanelLayout& layout, const BlockCodes& c, const BlockPlace& place, int r,
                uint8_t* panel) {
  if (layout.scale_bytes == 2) {
    put_half(panel + place.scale(layout, r, 0), float_to_half(c.scale[0]));
    return;
  }
  for (int h = 0; h < layout.block_scales; ++h) {
    put_float(panel + place.scale(layout, r, h), c.scale[h]);
  }
  if (layout.mins_offset != 0) put_float(panel + place.min(r), c.min);
}

void pack_codes(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                int code_bias, uint8_t* panel) {
  // Adding 128 to a signed byte is flipping its top bit.
  const uint32_t bias_bits = code_bias == 0 ? 0 : 0x80808080u;
  const int n_blocks = layout.n_in / kBlockInputs;
  const size_t row_size = row_bytes(type, static_cast<size_t>(layout.n_in));
  for (int r = 0; r < kPanelRows; ++r) {
    for (int b = 0; b < n_blocks; ++b) {
      const BlockPlace place(layout, b);
      BlockCodes c{};
      if (r < n_rows) {
        decode_block(type, rows + row_size * static_cast<size_t>(r), static_cast<size_t>(b), c);
      }
      put_scales(layout, c, place, r, panel);
      put_codes(c.code, bias_bits, panel + place.code(r));
    }
  }
}

float read_scale(const PanelLayout& layout, const uint8_t* scale) {
  if (layout.scale_bytes == 2) {
    uint16_t half;
    std::memcpy(&half, scale, sizeof half);
    return half_to_float(half);
  }
  float value;
  std::memcpy(&value, scale, sizeof value);
  return value;
}

int read_code(const PanelLayout& layout, const uint8_t* codes, int code_bias, int i) {
  if (layout.form == WeightForm::kInt4) {
    const uint8_t both = codes[64 * (i % 16 / 4) + i % 4];
    return (i < 16 ? both & 15 : both >> 4) - 8;
  }
  const uint8_t stored = codes[64 * (i / 4) + i % 4];
  return code_bias == 0 ? static_cast<int8_t>(stored) : stored - code_bias;
}

void unpack_block(const PanelLayout& layout, const uint8_t* panel, int code_bias, int b, int r,
                  float* out) {
  const BlockPlace place(layout, b);
  const uint8_t* codes = panel + place.code(r);
  float min = 0.0f;
  if (layout.mins_offset != 0) std::memcpy(&min, panel + place.min(r), sizeof min);
  for (int h = 0; h < 2; ++h) {
    const int group = layout.block_scales == 2 ? h : 0;
    const float scale = read_scale(layout, panel + place.scale(layout, r, group));
    for (int i = 16 * h; i < 16 * h + 16; ++i) {
      out[i] = scale * static_cast<float>(read_code(layout, codes, code_bias, i)) + min;
    }
  }
}

}  // namespace

bool is_float(WeightForm form) {
  return form == WeightForm::kF32 || form == WeightForm::kF16 || form == WeightForm::kBF16;
}

WeightForm form_of(TensorType type) {
  switch (type) {
    case TensorType::F32:
      return WeightForm::kF32;
    case TensorType::F16:
      return WeightForm::kF16;
    case TensorType::BF16:
      return WeightForm::kBF16;
    case TensorType::Q8_0:
    case TensorType::Q5_0:
      return WeightForm::kInt8;
    case TensorType::Q4_0:
      return WeightForm::kInt4;
    case TensorType::Q4_1:
    case TensorType::Q5_1:
    case TensorType::Q4_K:
    case TensorType::Q5_K:
      return WeightForm::kInt8Affine;
    case TensorType::Q6_K:
      return WeightForm::kInt8Fine;
  }
  return WeightForm::kF32;
}

int panel_count(int n_out) { return (n_out + kPanelRows - 1) / kPanelRows; }

PanelLayout panel_layout(WeightForm form, int n_in) {
  PanelLayout layout{};
  layout.form = form;
  layout.n_in = n_in;
  const auto inputs = static_cast<size_t>(n_in);
  if (is_float(form)) {
    layout.panel_bytes = inputs * kPanelRows * (form == WeightForm::kF32 ? 4 : 2);
    return layout;
  }
  const bool half_scales = form == WeightForm::kInt8 || form == WeightForm::kInt4;
  const bool has_mins = form == WeightForm::kInt8Affine;
  layout.scale_bytes = half_scales ? 2 : 4;
  layout.block_scales = form == WeightForm::kInt8Fine ? 2 : 1;
  layout.unit_blocks = half_scales ? 2 : 1;
  layout.code_bytes = kBlockInputs * kPanelRows / (form == WeightForm::kInt4 ? 2 : 1);
  const size_t scales = static_cast<size_t>(layout.unit_blocks * layout.block_scales *
                                            layout.scale_bytes * kPanelRows);
  layout.mins_offset = has_mins ? scales : 0;
  layout.codes_offset = has_mins ? scales + kPanelRows * sizeof(float) : scales;
  layout.unit_bytes =
      layout.codes_offset + layout.code_bytes * static_cast<size_t>(layout.unit_blocks);
  // The last unit of an odd number of blocks is filled up with zeros.
  const int n_units = (n_in / kBlockInputs + layout.unit_blocks - 1) / layout.unit_blocks;
  layout.panel_bytes = layout.unit_bytes * static_cast<size_t>(n_units);
  return layout;
}

void pack_panel(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                int code_bias, uint8_t* panel) {
  if (layout.form == WeightForm::kF32) return pack_floats<uint32_t>(layout, rows, n_rows, panel);
  if (is_float(layout.form)) return pack_floats<uint16_t>(layout, rows, n_rows, panel);
  if (layout.form == WeightForm::kInt4) return pack_q4_0(layout, rows, n_rows, panel);
  pack_codes(layout, type, rows, n_rows, code_bias, panel);
}

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
