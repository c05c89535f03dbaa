#include "kernels/panel.h"

#include <cstring>

#include "base/half.h"

namespace gpt2edge::kernels {
namespace {

// 32 inputs of one row as every integer form sees them: value = scale * code + min.
struct Codes {
  int8_t code[32];
  float scale[2];  // of inputs 0..15 and 16..31; equal but for the fine form
  float min;
};

template <typename Block>
Block block_at(const std::byte* row, int index) {
  Block block;
  std::memcpy(&block, row + sizeof(Block) * static_cast<size_t>(index), sizeof block);
  return block;
}

void set_scale(Codes& out, float scale, float min = 0.0f) {
  out.scale[0] = out.scale[1] = scale;
  out.min = min;
}

int8_t code(int value) { return static_cast<int8_t>(value); }

// Nibbles hold inputs 0..15 in their low halves and 16..31 in their high halves; bit i of `fifth`
// is the fifth bit of input i.
void five_bit_codes(const uint8_t* nibbles, uint32_t fifth, int offset, Codes& out) {
  for (int i = 0; i < 16; ++i) {
    const int low = (nibbles[i] & 15) | static_cast<int>(fifth >> i & 1) << 4;
    const int high = nibbles[i] >> 4 | static_cast<int>(fifth >> (i + 16) & 1) << 4;
    out.code[i] = code(low - offset);
    out.code[i + 16] = code(high - offset);
  }
}

uint32_t word_at(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

void decode_q8_0(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ8_0>(row, b);
  std::memcpy(out.code, block.qs, sizeof out.code);
  set_scale(out, half_to_float(block.d));
}

void decode_q4_1(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ4_1>(row, b);
  five_bit_codes(block.qs, 0, 0, out);
  set_scale(out, half_to_float(block.d), half_to_float(block.m));
}

void decode_q5_0(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ5_0>(row, b);
  five_bit_codes(block.qs, word_at(block.qh), 16, out);
  set_scale(out, half_to_float(block.d));
}

void decode_q5_1(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ5_1>(row, b);
  five_bit_codes(block.qs, word_at(block.qh), 0, out);
  set_scale(out, half_to_float(block.d), half_to_float(block.m));
}

// Q4_K and Q5_K: 8 sub-blocks of 32 share two half floats; each has a 6-bit scale and a 6-bit min,
// the first four whole in a byte each, the others split over two.
template <typename Block>
void set_k_scale(const Block& block, int sub, Codes& out) {
  const uint8_t* s = block.scales;
  const int scale = sub < 4 ? s[sub] & 63 : (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4;
  const int min = sub < 4 ? s[sub + 4] & 63 : s[sub + 4] >> 4 | (s[sub] >> 6) << 4;
  set_scale(out, half_to_float(block.d) * static_cast<float>(scale),
            -(half_to_float(block.dmin) * static_cast<float>(min)));
}

void decode_q4_k(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ4_K>(row, b / 8);
  const int sub = b % 8, shift = sub % 2 * 4;
  const uint8_t* nibbles = block.qs + 32 * (sub / 2);
  for (int i = 0; i < 32; ++i) out.code[i] = code(nibbles[i] >> shift & 15);
  set_k_scale(block, sub, out);
}

void decode_q5_k(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ5_K>(row, b / 8);
  const int sub = b % 8, shift = sub % 2 * 4;
  const uint8_t* nibbles = block.qs + 32 * (sub / 2);
  for (int i = 0; i < 32; ++i) {
    out.code[i] = code((nibbles[i] >> shift & 15) | (block.qh[i] >> sub & 1) << 4);
  }
  set_k_scale(block, sub, out);
}

// Q6_K: two halves of 128; in each, four runs of 32 take their low bits from 64 bytes of nibbles
// and their two high bits from one of four bit pairs of 32 bytes. A scale for every 16.
void decode_q6_k(const std::byte* row, int b, Codes& out) {
  const auto block = block_at<BlockQ6_K>(row, b / 8);
  const int half = b % 8 / 4, run = b % 4;
  const uint8_t* low = block.ql + 64 * half + 32 * (run % 2);
  const uint8_t* high = block.qh + 32 * half;
  for (int i = 0; i < 32; ++i) {
    const int bits = (low[i] >> (run / 2 * 4) & 15) | (high[i] >> (2 * run) & 3) << 4;
    out.code[i] = code(bits - 32);
  }
  for (int h = 0; h < 2; ++h) {
    out.scale[h] = half_to_float(block.d) * static_cast<float>(block.scales[b % 8 * 2 + h]);
  }
  out.min = 0.0f;
}

// Decodes block b (32 inputs) of a row of an integer type other than Q4_0, whose nibbles are moved
// as they are.
void decode(TensorType type, const std::byte* row, int b, Codes& out) {
  switch (type) {
    case TensorType::Q8_0:
      return decode_q8_0(row, b, out);
    case TensorType::Q4_1:
      return decode_q4_1(row, b, out);
    case TensorType::Q5_0:
      return decode_q5_0(row, b, out);
    case TensorType::Q5_1:
      return decode_q5_1(row, b, out);
    case TensorType::Q4_K:
      return decode_q4_k(row, b, out);
    case TensorType::Q5_K:
      return decode_q5_k(row, b, out);
    case TensorType::Q6_K:
      return decode_q6_k(row, b, out);
    default:
      return;  // form_of maps only the above to forms packed by way of codes
  }
}

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

// Where block b lies in its panel: its unit, and its place in it.
size_t unit_at(const PanelLayout& layout, int b) {
  return layout.unit_bytes * static_cast<size_t>(b / layout.unit_blocks);
}

// The scale of row r for block b, or for its half h (inputs 16 h ..) in the fine form.
size_t scale_at(const PanelLayout& layout, int b, int h, int r) {
  const int group = b % layout.unit_blocks * layout.block_scales + h;
  return unit_at(layout, b) + static_cast<size_t>((group * kPanelRows + r) * layout.scale_bytes);
}

size_t min_at(const PanelLayout& layout, int b, int r) {
  return unit_at(layout, b) + layout.mins_offset + static_cast<size_t>(r) * sizeof(float);
}

// The first codes of row r in block b: those of a step's four inputs, 64 bytes before the next.
size_t codes_at(const PanelLayout& layout, int b, int r) {
  return unit_at(layout, b) + layout.codes_offset +
         layout.code_bytes * static_cast<size_t>(b % layout.unit_blocks) +
         static_cast<size_t>(4 * r);
}

void pack_q4_0(const PanelLayout& layout, const std::byte* rows, int n_rows, uint8_t* panel) {
  const int n_blocks = layout.n_in / kBlockInputs;
  const size_t row_size = sizeof(BlockQ4_0) * static_cast<size_t>(n_blocks);
  for (int r = 0; r < n_rows; ++r) {
    for (int b = 0; b < n_blocks; ++b) {
      const auto block = block_at<BlockQ4_0>(rows + row_size * static_cast<size_t>(r), b);
      put_half(panel + scale_at(layout, b, 0, r), block.d);
      uint8_t* codes = panel + codes_at(layout, b, r);
      for (int step = 0; step < 4; ++step) std::memcpy(codes + 64 * step, block.qs + 4 * step, 4);
    }
  }
}

void put_scales(const PanelLayout& layout, const Codes& c, int b, int r, uint8_t* panel) {
  if (layout.scale_bytes == 2) {
    put_half(panel + scale_at(layout, b, 0, r), float_to_half(c.scale[0]));
    return;
  }
  for (int h = 0; h < layout.block_scales; ++h) {
    put_float(panel + scale_at(layout, b, h, r), c.scale[h]);
  }
  if (layout.mins_offset != 0) put_float(panel + min_at(layout, b, r), c.min);
}

void pack_codes(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                int code_bias, uint8_t* panel) {
  const int n_blocks = layout.n_in / kBlockInputs;
  const size_t row_size = row_bytes(type, static_cast<size_t>(layout.n_in));
  for (int r = 0; r < kPanelRows; ++r) {
    for (int b = 0; b < n_blocks; ++b) {
      Codes c{};
      if (r < n_rows) decode(type, rows + row_size * static_cast<size_t>(r), b, c);
      put_scales(layout, c, b, r, panel);
      uint8_t* codes = panel + codes_at(layout, b, r);
      for (int i = 0; i < 32; ++i) {
        codes[64 * (i / 4) + i % 4] = static_cast<uint8_t>(c.code[i] + code_bias);
      }
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
  const uint8_t* codes = panel + codes_at(layout, b, r);
  float min = 0.0f;
  if (layout.mins_offset != 0) std::memcpy(&min, panel + min_at(layout, b, r), sizeof min);
  for (int h = 0; h < 2; ++h) {
    const int group = layout.block_scales == 2 ? h : 0;
    const float scale = read_scale(layout, panel + scale_at(layout, b, group, r));
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
