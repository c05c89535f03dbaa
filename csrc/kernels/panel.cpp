#include "kernels/panel.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "formats/block_codes.h"

namespace gpt2edge::kernels {
namespace {

// Float types keep their bits: number k of row r goes to (k, r).
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

bool is_super(WeightForm form) {
  return form == WeightForm::kInt4Super || form == WeightForm::kInt6Super;
}

// The offsets of a block in its panel.
struct BlockPlace {
  BlockPlace(const PanelLayout& layout, int b)
      : unit(layout.unit_bytes * static_cast<size_t>(b / layout.unit_blocks)) {
    const auto i = static_cast<size_t>(b % layout.unit_blocks);
    scales = unit + layout.scales_offset + layout.scales_bytes * i;
    codes = unit + layout.codes_offset + layout.code_bytes * i;
  }

  size_t unit, scales, codes;
};

// Q4_0 and Q8_0 store their codes in the panel's own order: they are copied, four rows together,
// with the bits in `flips` inverted.
template <typename Block>
void pack_blocks(const PanelLayout& layout, const std::byte* rows, int n_rows, uint32_t flips,
                 uint8_t* panel) {
  constexpr int kRows = 4, kSteps = sizeof(Block::qs) / 4;
  const int n_blocks = layout.n_in / kBlockInputs;
  const size_t row_size = sizeof(Block) * static_cast<size_t>(n_blocks);
  for (int b = 0; b < n_blocks; ++b, rows += sizeof(Block)) {
    const BlockPlace place(layout, b);
    for (int first = 0; first < kPanelRows; first += kRows) {
      Block block[kRows] = {};
      for (int r = 0; r < kRows && first + r < n_rows; ++r) {
        std::memcpy(&block[r], rows + row_size * static_cast<size_t>(first + r), sizeof block[r]);
      }
      uint32_t fours[kSteps][kRows];
      for (int r = 0; r < kRows; ++r) {
        put_half(panel + place.scales + 2 * (first + r), block[r].d);
        for (int step = 0; step < kSteps; ++step) {
          std::memcpy(&fours[step][r], block[r].qs + 4 * step, 4);
          fours[step][r] ^= flips;
        }
      }
      uint8_t* codes = panel + place.codes + 4 * first;
      for (int step = 0; step < kSteps; ++step) {
        std::memcpy(codes + 64 * step, fours[step], sizeof fours[step]);
      }
    }
  }
}

// Four codes, a byte each.
uint32_t four_at(const int8_t* code) {
  uint32_t four;
  std::memcpy(&four, code, sizeof four);
  return four;
}

void put_four(uint8_t* to, uint32_t four) { std::memcpy(to, &four, sizeof four); }

void put_codes8(const int8_t* code, uint32_t flips, uint8_t* to) {
  for (int step = 0; step < 8; ++step) put_four(to + 64 * step, four_at(code + 4 * step) ^ flips);
}

// The low four bits of codes that are not negative.
void put_nibbles(const int8_t* code, uint8_t* to) {
  for (int step = 0; step < 4; ++step, code += 4) {
    const uint32_t low = four_at(code) & 0x0f0f0f0f, high = four_at(code + 16) & 0x0f0f0f0f;
    put_four(to + 64 * step, low | high << 4);
  }
}

// The two bits above them.
void put_high_bits(const int8_t* code, uint8_t* to) {
  for (int half = 0; half < 2; ++half, code += 16) {
    uint32_t bits = 0;
    for (int step = 0; step < 4; ++step) {
      bits |= (four_at(code + 4 * step) >> 4 & 0x03030303) << 2 * step;
    }
    put_four(to + 64 * half, bits);
  }
}

void put_codes(const PanelLayout& layout, const BlockCodes& c, uint32_t flips, uint8_t* to) {
  if (!is_super(layout.form)) return put_codes8(c.code, flips, to);
  if (layout.form == WeightForm::kInt4Super) return put_nibbles(c.code, to);
  int8_t code[32];
  for (int i = 0; i < 32; ++i) code[i] = static_cast<int8_t>(c.code[i] + 32);
  put_nibbles(code, to);
  put_high_bits(code, to + 256);
}

void put_scales(const PanelLayout& layout, const BlockCodes& c, const BlockPlace& place, int r,
                uint8_t* panel) {
  uint8_t* scales = panel + place.scales;
  if (is_super(layout.form)) {
    const bool has_min = layout.form == WeightForm::kInt4Super;
    put_half(panel + place.unit + 2 * r, c.d);
    put_half(panel + place.unit + 32 + 2 * r, has_min ? c.dmin : uint16_t{0});
    scales[r] = static_cast<uint8_t>(c.sub_scale[0]);
    scales[16 + r] = static_cast<uint8_t>(has_min ? c.sub_min : c.sub_scale[1]);
  } else if (layout.form == WeightForm::kInt8Affine) {
    put_float(scales + 4 * r, c.scale[0]);
    put_float(scales + 64 + 4 * r, c.min);
  } else {
    put_half(scales + 2 * r, float_to_half(c.scale[0]));
  }
}

void pack_codes(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                uint32_t flips, uint8_t* panel) {
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
      put_codes(layout, c, flips, panel + place.codes + 4 * r);
    }
  }
}

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
    case WeightForm::kInt4Super:
      return half_at(panel + place.unit + 2 * r) * scales[r];
    case WeightForm::kInt6Super:
      return half_at(panel + place.unit + 2 * r) * static_cast<int8_t>(scales[16 * h + r]);
    default:
      return half_at(scales + 2 * r);
  }
}

float min_of(const PanelLayout& layout, const uint8_t* panel, const BlockPlace& place, int r) {
  const uint8_t* scales = panel + place.scales;
  if (layout.form == WeightForm::kInt8Affine) return float_at(scales + 64 + 4 * r);
  if (layout.form != WeightForm::kInt4Super) return 0.0f;
  return -(half_at(panel + place.unit + 32 + 2 * r) * scales[16 + r]);
}

int code_of(const PanelLayout& layout, const uint8_t* codes, int code_bias, int i) {
  const auto low = [&] {
    const uint8_t both = codes[64 * (i % 16 / 4) + i % 4];
    return i < 16 ? both & 15 : both >> 4;
  };
  switch (layout.form) {
    case WeightForm::kInt4:
      return low() - 8;
    case WeightForm::kInt4Super:
      return low();
    case WeightForm::kInt6Super:
      return (low() | (codes[256 + 64 * (i / 16) + i % 4] >> i % 16 / 4 * 2 & 3) << 4) - 32;
    default: {
      const uint8_t stored = codes[64 * (i / 4) + i % 4];
      return code_bias == 0 ? static_cast<int8_t>(stored) : stored - code_bias;
    }
  }
}

void unpack_block(const PanelLayout& layout, const uint8_t* panel, int code_bias, int b, int r,
                  float* out) {
  const BlockPlace place(layout, b);
  const uint8_t* codes = panel + place.codes + 4 * r;
  const float min = min_of(layout, panel, place, r);
  for (int h = 0; h < 2; ++h) {
    const float scale = scale_of(layout, panel, place, r, h);
    for (int i = 16 * h; i < 16 * h + 16; ++i) {
      out[i] = scale * static_cast<float>(code_of(layout, codes, code_bias, i)) + min;
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
    case TensorType::Q5_K:
      return WeightForm::kInt8Affine;
    case TensorType::Q4_K:
      return WeightForm::kInt4Super;
    case TensorType::Q6_K:
      return WeightForm::kInt6Super;
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
  layout.unit_blocks = 2;
  layout.scales_bytes = 32;
  layout.code_bytes = 16 * kBlockInputs;
  if (form == WeightForm::kInt4 || form == WeightForm::kInt4Super) layout.code_bytes /= 2;
  if (form == WeightForm::kInt6Super) layout.code_bytes = layout.code_bytes / 4 * 3;
  if (form == WeightForm::kInt8Affine) {
    layout.unit_blocks = 1;
    layout.scales_bytes = 128;
  } else if (is_super(form)) {
    layout.unit_blocks = 8;
    layout.scales_offset = 64;
  }
  const auto unit_blocks = static_cast<size_t>(layout.unit_blocks);
  layout.codes_offset = layout.scales_offset + layout.scales_bytes * unit_blocks;
  layout.unit_bytes = layout.codes_offset + layout.code_bytes * unit_blocks;
  // The last unit is padded with zero blocks.
  const int n_units = (n_in / kBlockInputs + layout.unit_blocks - 1) / layout.unit_blocks;
  layout.panel_bytes = layout.unit_bytes * static_cast<size_t>(n_units);
  return layout;
}

size_t matmul_scratch(int n_in) {
  return kBlockPanels * std::max(panel_layout(WeightForm::kInt8, n_in).panel_bytes,
                                 panel_layout(WeightForm::kInt8Affine, n_in).panel_bytes);
}

void pack_panel(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                int code_bias, uint8_t* panel) {
  // Adding 128 to a signed byte flips its top bit.
  const uint32_t flips = code_bias == 0 ? 0 : 0x80808080u;
  if (layout.form == WeightForm::kF32) return pack_floats<uint32_t>(layout, rows, n_rows, panel);
  if (is_float(layout.form)) return pack_floats<uint16_t>(layout, rows, n_rows, panel);
  if (type == TensorType::Q4_0) return pack_blocks<BlockQ4_0>(layout, rows, n_rows, 0, panel);
  if (type == TensorType::Q8_0) return pack_blocks<BlockQ8_0>(layout, rows, n_rows, flips, panel);
  pack_codes(layout, type, rows, n_rows, flips, panel);
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
