// Unpacks panels of codes of up to 6 bits into panels of 8-bit codes.
//
// Unpacking costs as much as a row or two of the matmul: with many rows it is cheaper done once
// than for every tile of them. Results are bit-identical: each form becomes one whose scales are
// the products of its own.
#pragma once

#include <string.h>

#include "kernels/algorithms/matmul_tile.inl.h"

namespace gpt2edge::kernels {
namespace {

// 256 bytes of two codes, as a block has them; `shift` is added to every code.
void unpack_codes4(const uint8_t* in, int shift, uint8_t* out) {
  for (int i = 0; i < 256; ++i) {
    out[i] = static_cast<uint8_t>((in[i] & 15) + shift);
    out[256 + i] = static_cast<uint8_t>((in[i] >> 4) + shift);
  }
}

// Four steps' codes in three steps' bytes, for each half.
void unpack_codes6(const uint8_t* in, int shift, uint8_t* out) {
  for (int half = 0; half < 2; ++half, in += 192, out += 256) {
    for (int i = 0; i < 64; ++i) {
      const int first = in[i], second = in[64 + i], third = in[128 + i];
      out[i] = static_cast<uint8_t>((first & 63) + shift);
      out[64 + i] = static_cast<uint8_t>((second & 63) + shift);
      out[128 + i] = static_cast<uint8_t>((third & 63) + shift);
      out[192 + i] =
          static_cast<uint8_t>((first >> 6 | second >> 6 << 2 | third >> 6 << 4) + shift);
    }
  }
}

// Two codes a byte, by a table of the 8-bit codes.
void unpack_table_codes4(const uint8_t* in, const CodeTable& codes, uint8_t* out) {
  const Isa::Table table = Isa::load_table(codes.code);
  for (int i = 0; i < 256; i += 64) Isa::unpack_codes4(in + i, table, out + i, out + 256 + i);
}

void unpack_codes2(const uint8_t* in, int shift, uint8_t* out) {
  for (int step = 0; step < 8; ++step, out += 64) {
    const uint8_t* pairs = in + 64 * (step / 4);
    for (int i = 0; i < 64; ++i) {
      out[i] = static_cast<uint8_t>((pairs[i] >> step % 4 * 2 & 3) + shift);
    }
  }
}

void unpack_codes3(const uint8_t* in, int shift, uint8_t* out) {
  for (int step = 0; step < 8; ++step, out += 64) {
    const uint8_t *pairs = in + 64 * (step / 4), *high = in + 128;
    for (int i = 0; i < 64; ++i) {
      const int code = (pairs[i] >> step % 4 * 2 & 3) | (high[i] >> step & 1) << 2;
      out[i] = static_cast<uint8_t>(code + shift);
    }
  }
}

void store_floats_at(uint8_t* p, Isa::Floats x) { Isa::store(reinterpret_cast<float*>(p), x); }

// unit() converts one unit of From to units of To.
struct UnpackedInt4 {
  using From = Int4;
  using To = Int8;
  static void unit(const uint8_t* in, const CodeTable&, uint8_t* out) {
    constexpr size_t kScales = IntegerTile<From>::kCodesOffset;
    memcpy(out, in, kScales);
    for (int b = 0; b < From::kUnitBlocks; ++b) {
      // 0..15 stand for -8..7.
      unpack_codes4(in + kScales + From::Codes::kBytes * b, Isa::kCodeBias - 8,
                    out + kScales + To::Codes::kBytes * b);
    }
  }
};

struct UnpackedInt4Super {
  using From = Int4Super;
  using To = Int8Affine;
  static void unit(const uint8_t* in, const CodeTable&, uint8_t* out) {
    const Isa::Floats d = Isa::load_f16(in), dmin = Isa::load_f16(in + 32);
    const uint8_t* scales = in + From::kScalesOffset;
    const uint8_t* codes = in + IntegerTile<From>::kCodesOffset;
    for (int b = 0; b < From::kUnitBlocks; ++b) {
      store_floats_at(out, Isa::mul(d, Isa::load_u8(scales)));
      const Isa::Floats min = Isa::mul(dmin, Isa::load_u8(scales + 16));
      store_floats_at(out + 64, Isa::sub(Isa::broadcast(0.0f), min));
      unpack_codes4(codes, Isa::kCodeBias, out + To::kScaleBytes);
      scales += From::kScaleBytes;
      codes += From::Codes::kBytes;
      out += IntegerTile<To>::kUnitBytes;
    }
  }
};

// Two signed scales a block; Unpack unpacks the codes, which are stored with Offset added.
template <typename Super, int Offset, void (*Unpack)(const uint8_t*, int, uint8_t*)>
struct UnpackedSignedHalves {
  using From = Super;
  using To = Int8Halves;
  static void unit(const uint8_t* in, const CodeTable&, uint8_t* out) {
    const Isa::Floats d = Isa::load_f16(in);
    const uint8_t* scales = in + From::kScalesOffset;
    const uint8_t* codes = in + IntegerTile<From>::kCodesOffset;
    for (int b = 0; b < From::kUnitBlocks; ++b) {
      store_floats_at(out, Isa::mul(d, Isa::load_s8(scales)));
      store_floats_at(out + 64, Isa::mul(d, Isa::load_s8(scales + 16)));
      Unpack(codes, Isa::kCodeBias - Offset, out + To::kScaleBytes);
      scales += From::kScaleBytes;
      codes += From::Codes::kBytes;
      out += IntegerTile<To>::kUnitBytes;
    }
  }
};
using UnpackedInt6Super = UnpackedSignedHalves<Int6Super, 32, unpack_codes6>;
using UnpackedInt3Super = UnpackedSignedHalves<Int3Super, 4, unpack_codes3>;

struct UnpackedInt2Super {
  using From = Int2Super;
  using To = Int8AffineHalves;
  static void unit(const uint8_t* in, const CodeTable&, uint8_t* out) {
    const Isa::Floats d = Isa::load_f16(in), dmin = Isa::load_f16(in + 32);
    const uint8_t* scales = in + From::kScalesOffset;
    const uint8_t* codes = in + IntegerTile<From>::kCodesOffset;
    for (int b = 0; b < From::kUnitBlocks; ++b) {
      for (int half = 0; half < 2; ++half) {
        store_floats_at(out + 64 * half, Isa::mul(d, Isa::load_u8(scales + 16 * half)));
        const Isa::Floats min = Isa::mul(dmin, Isa::load_u8(scales + 32 + 16 * half));
        store_floats_at(out + 128 + 64 * half, Isa::sub(Isa::broadcast(0.0f), min));
      }
      unpack_codes2(codes, Isa::kCodeBias, out + To::kScaleBytes);
      scales += From::kScaleBytes;
      codes += From::Codes::kBytes;
      out += IntegerTile<To>::kUnitBytes;
    }
  }
};

// Scales stay as they are.
template <typename Table, typename Unpacked>
struct UnpackedTable {
  using From = Table;
  using To = Unpacked;
  static void unit(const uint8_t* in, const CodeTable& table, uint8_t* out) {
    constexpr size_t kScales = IntegerTile<From>::kCodesOffset;
    memcpy(out, in, kScales);
    for (int b = 0; b < From::kUnitBlocks; ++b) {
      unpack_table_codes4(in + kScales + From::Codes::kBytes * b, table,
                          out + kScales + To::Codes::kBytes * b);
    }
  }
};
using UnpackedTable4 = UnpackedTable<Table4, Int8>;
using UnpackedTable4Halves = UnpackedTable<Table4Halves, Int8Halves>;

struct UnpackedTable4Super {
  using From = Table4Super;
  using To = Int8Float;
  static void unit(const uint8_t* in, const CodeTable& table, uint8_t* out) {
    const Isa::Floats d = Isa::load(reinterpret_cast<const float*>(in));
    const uint8_t* scales = in + From::kScalesOffset;
    const uint8_t* codes = in + IntegerTile<From>::kCodesOffset;
    for (int b = 0; b < From::kUnitBlocks; ++b) {
      store_floats_at(out, Isa::mul(d, Isa::load_s8(scales)));
      unpack_table_codes4(codes, table, out + To::kScaleBytes);
      scales += From::kScaleBytes;
      codes += From::Codes::kBytes;
      out += IntegerTile<To>::kUnitBytes;
    }
  }
};

// Bytes of a unit of Unpacked::From once converted.
template <typename Unpacked>
constexpr size_t unpacked_unit_bytes() {
  using From = typename Unpacked::From;
  using To = typename Unpacked::To;
  return From::kUnitBlocks / To::kUnitBlocks * IntegerTile<To>::kUnitBytes;
}

template <typename Unpacked>
size_t unpacked_panel_bytes(const PackedMatrix& matrix) {
  return matrix.layout.panel_bytes / IntegerTile<typename Unpacked::From>::kUnitBytes *
         unpacked_unit_bytes<Unpacked>();
}

template <typename Unpacked>
void unpack_panel(const PackedMatrix& matrix, int panel, uint8_t* out) {
  const uint8_t* in = matrix.panels + matrix.layout.panel_bytes * (panel - matrix.first_panel);
  const uint8_t* end = in + matrix.layout.panel_bytes;
  const CodeTable table(matrix.layout);
  for (; in < end; in += IntegerTile<typename Unpacked::From>::kUnitBytes) {
    Unpacked::unit(in, table, out);
    out += unpacked_unit_bytes<Unpacked>();
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
