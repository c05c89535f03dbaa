// The layout of weights in memory once a model is loaded.
//
// A matrix (n_out, n_in) is cut into panels of 16 output rows. Inside a panel the 16 rows advance
// together, so that a vector holds one number of each row and a dot product never ends in a sum
// across lanes:
//
//   float forms   [input k][row r]    16 numbers for k = 0, then 16 for k = 1 ...
//   integer forms units, one after the other, each of
//                   [group g][row r]  scales
//                   [row r]           minima (affine form only)
//                   codes, 32 inputs ("a block") at a time:
//                     8 bits: [step s = 0..7][row r][j = 0..3]   the code of input 4s + j
//                     4 bits: [step s = 0..3][row r][j = 0..3]   low half:  input 4s + j
//                                                                high half: input 16 + 4s + j
//                     2 bits: [half h = 0, 1][row r][j = 0..3]   bits 2s, 2s + 1: input 16h + 4s +
//                                                                j
//                     6 bits: [half h = 0, 1][step s = 0..2][row r][j = 0..3]
//                             low 6 bits:  input 16h + 4s + j
//                             high 2 bits: bits 2s, 2s + 1 of input 16h + 12 + j
//                     3 bits: their low 2 bits like 2 bits, then the high bit:
//                             [row r][j = 0..3]                  bit s: input 4s + j
//
// A unit is two blocks where scales are half floats, so that 64 bytes of scales come before the
// codes they belong to; eight in the super forms, whose scales are
//
//                   [row r]           half floats: d
//                   [row r]           half floats: dmin (zero when there are no minima)
//                   [block][k][row r] bytes: scale and min, or the two halves' scales, or both,
//                                     scales first
//
// (in kTable4Super a float d and the scale), and one block otherwise. Everything is aligned to 64
// bytes, and a matrix is read from its first byte to its last without a jump, which the hardware
// prefetcher follows. A 64-byte load has 4 inputs of each of 16 rows; 4 bytes of the activations,
// broadcast over the vector, are multiplied by all of them: the operands of the dot instructions of
// x86 and Arm. The last panel is padded with rows of zeros.
//
// This header is included by kernel sources: plain structs and declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/ggml_blocks.h"

// GPT2EDGE_INLINE: for the parts of an inner loop, whose arguments must stay in registers.
// GPT2EDGE_NOINLINE: for a whole inner loop, whose register allocation would otherwise depend on
// the surrounding code. GPT2EDGE_PREFETCH: prefetches a cache line that is needed soon,
// GPT2EDGE_PREFETCH_L2 one needed later, into the second-level cache. The empty asm keeps GCC from
// removing a function that does nothing else.
#if defined(_MSC_VER) && !defined(__clang__)
#define GPT2EDGE_INLINE __forceinline
#define GPT2EDGE_NOINLINE __declspec(noinline)
#if defined(_M_X64)
#include <immintrin.h>
#define GPT2EDGE_PREFETCH(p) _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0)
#define GPT2EDGE_PREFETCH_L2(p) _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1)
#else
#define GPT2EDGE_PREFETCH(p) static_cast<void>(p)
#define GPT2EDGE_PREFETCH_L2(p) static_cast<void>(p)
#endif
#else
#define GPT2EDGE_INLINE inline __attribute__((always_inline))
#define GPT2EDGE_NOINLINE __attribute__((noinline))
#define GPT2EDGE_PREFETCH(p) \
  do {                       \
    __builtin_prefetch(p);   \
    asm volatile("");        \
  } while (0)
#define GPT2EDGE_PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
#endif

// GPT2EDGE_INLINE_LAMBDA: GPT2EDGE_INLINE for a lambda, written after its parameters.
#if defined(_MSC_VER) && !defined(__clang__)
#define GPT2EDGE_INLINE_LAMBDA
#else
#define GPT2EDGE_INLINE_LAMBDA __attribute__((always_inline))
#endif

// GPT2EDGE_UNROLL: before a short loop over arrays that must stay in registers, which compilers for
// Arm achieve only for unrolled loops. On x86 it is not needed, and made decoding 5% slower.
#if defined(__aarch64__) && defined(__clang__)
#define GPT2EDGE_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__aarch64__) && defined(__GNUC__)
#define GPT2EDGE_UNROLL _Pragma("GCC unroll 16")
#else
#define GPT2EDGE_UNROLL
#endif

namespace gpt2edge::kernels {

// The sums of two runs of 16 codes.
struct TwoSums {
  int32_t low, high;
};

constexpr int kPanelRows = 16;
constexpr int kBlockInputs = 32;  // inputs that share an activation scale
// Bytes of a panel for a block whose codes became 8-bit ones, with two scales and two minima: the
// most that a matmul's scratch has for one.
constexpr size_t kUnpackedBlockBytes = 768;
// Of a matmul's scratch, for products by pairs of inputs.
constexpr size_t kPairsScratchBytes = size_t{36} << 10;
constexpr int kBlockPanels = kBlockInputs / kPanelRows;  // whose outputs are such a block

// How a panel stores weights, and the value of each. Every file type maps to one of these without
// changing a number.
enum class WeightForm : uint8_t {
  kF32,
  kF16,
  kBF16,
  kInt8,        // scale (f16, per 32) * code            Q8_0, Q5_0
  kInt4,        // scale (f16, per 32) * (code - 8)      Q4_0, TQ1_0, TQ2_0, Q1_0, Q2_0
  kInt8Affine,  // scale (f32, per 32) * code + min      Q4_1, Q5_1, Q5_K
  kInt4Super,   // d * scale * code - dmin * min         Q4_K: d, dmin f16 per 256, the rest u8 per
                // 32
  kInt6Super,   // d * scale * (code - 32)               Q6_K: d f16 per 256, scale s8 per 16
  kInt3Super,   // d * scale * (code - 4)                Q3_K: likewise
  kInt2Super,   // d * scale * code - dmin * min         Q2_K: d, dmin f16 per 256, the rest u8 per
                // 16
  // Codes of four bits that choose from the type's table (formats/code_tables.h):
  kTable4,        // scale (f16, per 32) * table[code]     IQ4_NL
  kTable4Super,   // d * scale * table[code]               IQ4_XS, IQ3_S, IQ3_XXS, IQ2_XXS, IQ1_S:
                  // d f32 per 256, scale s8 per 32
  kTable4Halves,  // scale (f32, per 16) * table[code]     IQ2_XS, IQ2_S, IQ1_M, MXFP4, NVFP4
};

struct PanelLayout {
  WeightForm form;
  int n_in;
  size_t panel_bytes;
  // Integer forms only:
  int unit_blocks;       // blocks in a unit: 1, 2 or 8
  size_t scales_offset;  // in a unit
  size_t scales_bytes;   // of a block, minima included
  size_t codes_offset;   // in a unit
  size_t code_bytes;     // of a block
  size_t unit_bytes;
  const int8_t* table;  // that codes choose from; null in forms without
};

// A view of a packed matrix.
struct PackedMatrix {
  PanelLayout layout;
  const uint8_t* panels;
  int n_out;
  // Added to every 8-bit code when it was packed: 128 for kernels whose dot instruction wants
  // unsigned weights, else 0; nothing else.
  int code_bias;
  int first_panel = 0;  // which of the matrix's panels `panels` begins with
};

bool is_float(WeightForm form);
WeightForm form_of(TensorType type);
PanelLayout panel_layout(TensorType type, int n_in);
// Bytes of MatmulArgs::scratch for rows of n_in inputs.
size_t matmul_scratch(int n_in);
int panel_count(int n_out);

// Packs rows [16 * panel, 16 * panel + n_rows) of a tensor. `rows` points at the first of them, as
// the file holds it. `n_rows` is 16, or fewer in the last panel.
void pack_panel(const PanelLayout& layout, TensorType type, const std::byte* rows, int n_rows,
                int code_bias, uint8_t* panel);

// Writes row `row` back as n_in floats, equal to the file's numbers.
void unpack_row(const PackedMatrix& matrix, int row, float* out);

}  // namespace gpt2edge::kernels
