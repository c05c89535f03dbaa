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
  size_t panel_bytes;  // to the same block of the next panel
  const int8_t* x;     // [step][T][4]
  const float* x_scales;
  const int32_t *sums, *starts8, *starts4;
  const float* scaled_sums;
};

// ---- codes ----

// load() is load s of those that cover a part of a block: `low` are the codes of the part's step s
// and, where two codes share a byte, `high` those of the step kHighStep further on.
struct Codes8 {
  using Bits = Isa::Bits8;
  static constexpr size_t kBytes = 512;  // of a block
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const uint8_t* block, int s, Codes& low, Codes&) {
    low = Rows::load(block + 64 * (4 * Part + s));
  }
};

struct Codes4 {
  using Bits = Isa::Bits4;
  static constexpr size_t kBytes = 256;
  static constexpr int kHighStep = 4;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const uint8_t* block, int s, Codes& low, Codes& high) {
    Rows::load(block + 64 * s, low, high);
  }
};

// The low bits of the two halves share bytes; after them, each half has one load of high bits.
struct Codes6 {
  using Bits = Isa::Bits6;
  static constexpr size_t kBytes = 384;
  static constexpr int kHighStep = 0;
  template <typename Rows, int Part, typename Codes>
  static GPT2EDGE_INLINE void load(const uint8_t* block, int s, Codes& low, Codes&) {
    low = Rows::load(block + 64 * s, 4 * Part, block + 256 + 64 * Part, 2 * s);
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
// block. A block has kParts parts, each with a scale(); a min() is that of the whole block. `at` is
// the offset of the panel.
struct F16Scales {
  static constexpr int kUnitBlocks = 2, kParts = 1;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 32;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return Isa::load_f16(block.scales + at);
  }
};

// Two vectors of floats a block.
struct F32Scales {
  static constexpr int kUnitBlocks = 1;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 128;
  static GPT2EDGE_INLINE Isa::Floats load(const Block& block, int index, size_t at) {
    return Isa::load(reinterpret_cast<const float*>(block.scales + 64 * index + at));
  }
};

// Two vectors of bytes a block, each multiplied by a factor of the unit.
struct SuperScales {
  static constexpr int kUnitBlocks = 8;
  static constexpr size_t kScalesOffset = 64, kScaleBytes = 32;
  static GPT2EDGE_INLINE Isa::Floats factor(const Block& block, int index, size_t at) {
    return Isa::load_f16(block.unit + 32 * index + at);
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

struct Int8Affine : F32Scales {
  using Codes = Codes8;
  using Starts = CountedStarts<&Block::starts8>;
  static constexpr int kParts = 1;
  static constexpr bool kHasMin = true;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return load(block, 0, at);
  }
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, size_t at) {
    return load(block, 1, at);
  }
};

// A scale for each half of a block, where Int8Affine has scale and min. Only kInt6Super is unpacked
// to it: no file has it.
struct Int8Halves : F32Scales {
  using Codes = Codes8;
  using Starts = HalfStarts<Isa::kCodeBias>;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return load(block, half, at);
  }
};

struct Int4Super : SuperScales {
  using Codes = Codes4;
  using Starts = ZeroStarts;
  static constexpr int kParts = 1;
  static constexpr bool kHasMin = true;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int, size_t at) {
    return Isa::mul(factor(block, 0, at), Isa::load_u8(block.scales + at));
  }
  static GPT2EDGE_INLINE Isa::Floats min(const Block& block, size_t at) {
    const Isa::Floats steps = Isa::load_u8(block.scales + 16 + at);
    return Isa::sub(Isa::broadcast(0.0f), Isa::mul(factor(block, 1, at), steps));
  }
};

struct Int6Super : SuperScales {
  using Codes = Codes6;
  using Starts = HalfStarts<32>;
  static constexpr int kParts = 2;
  static constexpr bool kHasMin = false;
  static GPT2EDGE_INLINE Isa::Floats scale(const Block& block, int half, size_t at) {
    return Isa::mul(factor(block, 0, at), Isa::load_s8(block.scales + 16 * half + at));
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
