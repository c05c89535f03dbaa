#include <cstring>

#include "base/half.h"
#include "formats/block_codes.h"
#include "kernels/panel_forms.h"

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

// Q4_0, IQ4_NL and Q8_0 store their codes in the panel's own order: they are copied, four rows
// together, with the bits in `flips` inverted.
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

// The low two bits of each code.
void put_pairs_of_bits(const int8_t* code, uint8_t* to) {
  for (int half = 0; half < 2; ++half, code += 16) {
    uint32_t bits = 0;
    for (int step = 0; step < 4; ++step) {
      bits |= (four_at(code + 4 * step) & 0x03030303) << 2 * step;
    }
    put_four(to + 64 * half, bits);
  }
}

// Six bits of each code: three steps' bytes have two bits of the fourth's each.
void put_codes6(const int8_t* code, uint8_t* to) {
  for (int half = 0; half < 2; ++half, code += 16, to += 192) {
    const uint32_t fourth = four_at(code + 12);
    for (int step = 0; step < 3; ++step) {
      put_four(to + 64 * step, four_at(code + 4 * step) | (fourth >> 2 * step & 0x03030303) << 6);
    }
  }
}

// Bit 2 of each code.
void put_third_bits(const int8_t* code, uint8_t* to) {
  uint32_t bits = 0;
  for (int step = 0; step < 8; ++step) {
    bits |= (four_at(code + 4 * step) >> 2 & 0x01010101) << step;
  }
  put_four(to, bits);
}

void put_codes(const PanelLayout& layout, const BlockCodes& c, uint32_t flips, uint8_t* to) {
  if (has_codes8(layout.form)) return put_codes8(c.code, flips, to);
  int8_t code[kBlockInputs];
  const int offset = code_offset(layout.form);
  for (int i = 0; i < kBlockInputs; ++i) code[i] = static_cast<int8_t>(c.code[i] + offset);
  if (layout.form == WeightForm::kInt2Super || layout.form == WeightForm::kInt3Super) {
    put_pairs_of_bits(code, to);
    if (layout.form == WeightForm::kInt3Super) put_third_bits(code, to + 128);
    return;
  }
  if (layout.form == WeightForm::kInt6Super) return put_codes6(code, to);
  put_nibbles(code, to);
}

void put_super_scales(const PanelLayout& layout, const BlockCodes& c, const BlockPlace& place,
                      int r, uint8_t* panel) {
  const bool has_min = has_minima(layout.form);
  put_half(panel + place.unit + 2 * r, c.d);
  put_half(panel + place.unit + 32 + 2 * r, has_min ? c.dmin : uint16_t{0});
  const int n_scales = layout.form == WeightForm::kInt4Super ? 1 : 2;
  uint8_t* to = panel + place.scales + r;
  for (int h = 0; h < n_scales; ++h) {
    to[16 * h] = static_cast<uint8_t>(c.sub_scale[h]);
    if (has_min) to[16 * (n_scales + h)] = static_cast<uint8_t>(c.sub_min[h]);
  }
}

void put_scales(const PanelLayout& layout, const BlockCodes& c, const BlockPlace& place, int r,
                uint8_t* panel) {
  uint8_t* scales = panel + place.scales;
  switch (layout.form) {
    case WeightForm::kInt8Affine:
      put_float(scales + 4 * r, c.scale[0]);
      return put_float(scales + 64 + 4 * r, c.min[0]);
    case WeightForm::kTable4Halves:
      put_float(scales + 4 * r, c.scale[0]);
      return put_float(scales + 64 + 4 * r, c.scale[1]);
    case WeightForm::kTable4Super:
      put_float(panel + place.unit + 4 * r, c.factor);
      scales[r] = static_cast<uint8_t>(c.sub_scale[0]);
      return;
    default:
      if (is_super(layout.form)) return put_super_scales(layout, c, place, r, panel);
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

}  // namespace

void pack_panel(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                int code_bias, uint8_t* panel) {
  // Adding 128 to a signed byte flips its top bit.
  const uint32_t flips = code_bias == 0 ? 0 : 0x80808080u;
  if (layout.form == WeightForm::kF32) return pack_floats<uint32_t>(layout, rows, n_rows, panel);
  if (is_float(layout.form)) return pack_floats<uint16_t>(layout, rows, n_rows, panel);
  if (type == TensorType::Q4_0) return pack_blocks<BlockQ4_0>(layout, rows, n_rows, 0, panel);
  if (type == TensorType::IQ4_NL) {
    return pack_blocks<BlockIQ4_NL>(layout, rows, n_rows, 0, panel);
  }
  if (type == TensorType::Q8_0) return pack_blocks<BlockQ8_0>(layout, rows, n_rows, flips, panel);
  pack_codes(layout, type, rows, n_rows, flips, panel);
}

}  // namespace gpt2edge::kernels
