// The forms of weights that are stored as codes: the layout of a block's codes and scales, and what
// they mean. The loop of a tile over them is the same for all, in matmul_tile.inl.h.
#pragma once

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// One block of 32 inputs of a tile of T rows by P panels: pointers to the weights of the first
// panel, and to the activations of the rows.
struct Block {
  const uint8_t *unit, *scales, *codes;
  const uint8_t* table;  // of the codes, with code_bias added
  size_t panel_bytes;    // to the same block of the next panel
  const int8_t* x;       // [step][T][4]
  const float* x_scales;
  const int32_t *sums, *starts8, *starts4;
  const float* scaled_sums;
};

// A layout's table with code_bias added, where it has one.
struct CodeTable {
  explicit GPT2EDGE_INLINE CodeTable(const PanelLayout& layout) {
    if (layout.table == nullptr) return;
    for (int i = 0; i < 16; ++i) code[i] = static_cast<uint8_t>(layout.table[i] + Isa::kCodeBias);
  }
  uint8_t code[16];
};

// ---- codes ----

// load() is load s of those that cover a part of a block, for the panel at `at`: `low` are the
// codes of the part's step s and, where two codes share a byte, `high` those of the step kHighStep
// further on.
struct Codes8 {
  using Bits = Isa::Bits8;
  static constexpr size_t kBytes = 512;  // of a block
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes&) {
    low = Rows::load(block.codes + at + 64 * (4 * Part + s));
  }
};

struct Codes4 {
  using Bits = Isa::Bits4;
  static constexpr size_t kBytes = 256;
  static constexpr int kHighStep = 4;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes& high) {
    Rows::load(block.codes + at + 64 * s, low, high);
  }
};

// Codes of four bits that are indices into the type's table.
struct TableCodes4 {
  using Bits = Isa::TableBits4;
  static constexpr size_t kBytes = 256;
  static constexpr int kHighStep = 4;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes& high) {
    Rows::load(block.codes + at + 64 * s, low, high, Isa::load_table(block.table));
  }
};

// The same, a half of the block at a time.
struct TableCodes4Halves {
  using Bits = Isa::TableBits4;
  static constexpr size_t kBytes = 256;
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes&) {
    const Isa::Table table = Isa::load_table(block.table);
    low = Rows::gather(s, [&](int step) GPT2EDGE_INLINE_LAMBDA {
      return Bits::load(block.codes + at + 64 * step, 4 * Part, table);
    });
  }
};

// Each half has one load.
struct Codes2 {
  using Bits = Isa::Bits2;
  static constexpr size_t kBytes = 128;
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes&) {
    const uint8_t* pairs = block.codes + at + 64 * Part;
    low = Rows::gather(
        s, [&](int step) GPT2EDGE_INLINE_LAMBDA { return Bits::load(pairs, 2 * step); });
  }
};

// Each half has one load of low bits; after them is one load of the high bits of both.
struct Codes3 {
  using Bits = Isa::Bits3;
  static constexpr size_t kBytes = 192;
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes&) {
    const uint8_t* codes = block.codes + at;
    low = Rows::gather(s, [&](int step) GPT2EDGE_INLINE_LAMBDA {
      return Bits::load(codes + 64 * Part, 2 * step, codes + 128, 4 * Part + step);
    });
  }
};

// Each half has three loads for four steps: the top bits of the first three steps' bytes are the
// codes of the fourth.
struct Codes6 {
  using Bits = Isa::Bits6;
  static constexpr size_t kBytes = 384;
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const Block& block, size_t at, int s, Codes& low, Codes&) {
    const uint8_t* codes = block.codes + at + 192 * Part;
    low = Rows::gather(s, [&](int step) GPT2EDGE_INLINE_LAMBDA {
      return step < 3 ? Bits::load(codes + 64 * step) : Bits::load_fourth(codes);
    });
  }
};

// ---- initial values of the dot products of T rows ----

// Those that were computed when the rows were quantized, for a whole block.
template <const int32_t* Block::* Counted>
struct CountedStarts {
  template <int T>
  static GPT2EDGE_INLINE const int32_t* of(const Block& block, int, int32_t*) {
    return block.*Counted;
  }
};

// For half a block whose codes are stored with Offset added; written to `room`.
template <int Offset>
struct HalfStarts {
  template <int T>
  static GPT2EDGE_INLINE const int32_t* of(const Block& block, int half, int32_t* room) {
    for (int t = 0; t < T; ++t) room[t] = -Offset * block.sums[T * half + t];
    return room;
  }
};

struct ZeroStarts {
  template <int T>
  static GPT2EDGE_INLINE const int32_t* of(const Block&, int, int32_t* room) {
    for (int t = 0; t < T; ++t) room[t] = 0;
    return room;
  }
};

// ---- scales ----

// kScalesOffset is the offset of the first block's scales in a unit, kScaleBytes their size for one
// block. A block has kParts parts, each with a scale() and, where kHasMin, a min(). `at` is the
// offset of the panel.
struct F16Scales {
  static constexpr int kUnitBlocks = 2, kParts = 1;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 32;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return Isa::load_f16(block.scales + at);
  }
};

// N vectors of floats a block.
template <int N>
struct F32Scales {
  static constexpr int kUnitBlocks = 1;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 64 * N;
  static GPT2EDGE_INLINE Isa::Floats load(const Block& block, int index, size_t at) {
    return Isa::load(reinterpret_cast<const float*>(block.scales + 64 * index + at));
  }
};

// N vectors of bytes a block, each multiplied by a factor of the unit.
template <int N>
struct SuperScales {
  static constexpr int kUnitBlocks = 8;
  static constexpr size_t kScalesOffset = 64, kScaleBytes = 16 * N;
  static GPT2EDGE_INLINE Isa::Floats factor(const Block& block, int index, size_t at) {
    return Isa::load_f16(block.unit + 32 * index + at);
  }
  // minus a factor times steps
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, int index, size_t at) {
    const Isa::Floats steps = Isa::load_u8(block.scales + 16 * index + at);
    return Isa::sub(Isa::broadcast(0.0f), Isa::mul(factor(block, 1, at), steps));
  }
};

// ---- the forms ----

struct Int8 : F16Scales {
  using Codes = Codes8;
  using Starts = CountedStarts<&Block::starts8>;
};

struct Int4 : F16Scales {
  using Codes = Codes4;
  using Starts = CountedStarts<&Block::starts4>;
};

struct Int8Affine : F32Scales<2> {
  using Codes = Codes8;
  using Starts = CountedStarts<&Block::starts8>;
  static constexpr int kParts = 1;
  static constexpr bool kHasMin = true;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return load(block, 0, at);
  }
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, int, size_t at) {
    return load(block, 1, at);
  }
};

// One, two and four floats a block: only what other forms are unpacked to, no file has them.
struct Int8Float : F32Scales<1> {
  using Codes = Codes8;
  using Starts = CountedStarts<&Block::starts8>;
  static constexpr int kParts = 1;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return load(block, 0, at);
  }
};

struct Int8Halves : F32Scales<2> {
  using Codes = Codes8;
  using Starts = HalfStarts<Isa::kCodeBias>;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return load(block, half, at);
  }
};

struct Int8AffineHalves : F32Scales<4> {
  using Codes = Codes8;
  using Starts = HalfStarts<Isa::kCodeBias>;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = true;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return load(block, half, at);
  }
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, int half, size_t at) {
    return load(block, 2 + half, at);
  }
};

struct Int4Super : SuperScales<2> {
  using Codes = Codes4;
  using Starts = ZeroStarts;
  static constexpr int kParts = 1;
  static constexpr bool kHasMin = true;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return Isa::mul(factor(block, 0, at), Isa::load_u8(block.scales + at));
  }
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, int, size_t at) {
    return SuperScales::min(block, 1, at);
  }
};

// A signed scale for each half, of codes that are stored with Offset added.
template <typename StoredCodes, int Offset>
struct SignedHalves : SuperScales<2> {
  using Codes = StoredCodes;
  using Starts = HalfStarts<Offset>;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return Isa::mul(factor(block, 0, at), Isa::load_s8(block.scales + 16 * half + at));
  }
};
using Int6Super = SignedHalves<Codes6, 32>;
using Int3Super = SignedHalves<Codes3, 4>;

struct Int2Super : SuperScales<4> {
  using Codes = Codes2;
  using Starts = ZeroStarts;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = true;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return Isa::mul(factor(block, 0, at), Isa::load_u8(block.scales + 16 * half + at));
  }
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, int half, size_t at) {
    return SuperScales::min(block, 2 + half, at);
  }
};

struct Table4 : F16Scales {
  using Codes = TableCodes4;
  using Starts = CountedStarts<&Block::starts8>;
};

// One vector of signed bytes a block, multiplied by a vector of floats of the unit.
struct Table4Super {
  using Codes = TableCodes4;
  using Starts = CountedStarts<&Block::starts8>;
  static constexpr int kUnitBlocks = 8, kParts = 1;
  static constexpr size_t kScalesOffset = 64, kScaleBytes = 16;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    const Isa::Floats factor = Isa::load(reinterpret_cast<const float*>(block.unit + at));
    return Isa::mul(factor, Isa::load_s8(block.scales + at));
  }
};

struct Table4Halves : F32Scales<2> {
  using Codes = TableCodes4Halves;
  using Starts = HalfStarts<Isa::kCodeBias>;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return load(block, half, at);
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
