// The number types of GGUF tensors and their blocks, byte for byte as ggml lays them out in a file.
//
// Kernel sources include this header: plain structs and declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gpt2edge {

// Values are ggml's type ids.
enum class TensorType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ2_XXS = 16,
  IQ2_XS = 17,
  IQ3_XXS = 18,
  IQ1_S = 19,
  IQ4_NL = 20,
  IQ3_S = 21,
  IQ2_S = 22,
  IQ4_XS = 23,
  IQ1_M = 29,
  BF16 = 30,
  TQ1_0 = 34,
  TQ2_0 = 35,
  MXFP4 = 39,
  NVFP4 = 40,
  Q1_0 = 41,
  Q2_0 = 42,
};
constexpr uint32_t kTypeIds = 43;  // one more than the greatest

// Half floats (`d`, `m`, `dmin`) are stored as their bits.

struct BlockQ4_0 {  // 32 numbers: d * (code - 8)
  uint16_t d;
  uint8_t qs[16];  // low halves: numbers 0..15, high halves: 16..31
};

struct BlockQ4_1 {  // 32 numbers: d * code + m
  uint16_t d, m;
  uint8_t qs[16];
};

struct BlockQ5_0 {  // 32 numbers: d * (code - 16)
  uint16_t d;
  uint8_t qh[4];  // the fifth bit of each code
  uint8_t qs[16];
};

struct BlockQ5_1 {  // 32 numbers: d * code + m
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};

struct BlockQ8_0 {  // 32 numbers: d * code
  uint16_t d;
  int8_t qs[32];
};

// 256 numbers in 8 sub-blocks of 32: d * scale * code - dmin * min, scale and min of 6 bits each.
struct BlockQ4_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};

struct BlockQ5_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};

// 256 numbers in 16 sub-blocks of 16: d * scale * (code - 32).
struct BlockQ6_K {
  uint8_t ql[128];  // the low 4 bits
  uint8_t qh[64];   // the high 2 bits
  int8_t scales[16];
  uint16_t d;
};

// 256 numbers in 16 sub-blocks of 16: d * scale * code - dmin * min, scale and min of 4 bits each.
struct BlockQ2_K {
  uint8_t scales[16];  // scales in the low halves, mins in the high
  uint8_t qs[64];
  uint16_t d, dmin;
};

// 256 numbers in 16 sub-blocks of 16: d * (scale - 32) * (code - 4), scale of 6 bits.
struct BlockQ3_K {
  uint8_t hmask[32];  // the high bit
  uint8_t qs[64];     // the low 2 bits
  uint8_t scales[12];
  uint16_t d;
};

// The tables that the codes of the following choose from are in code_tables.h.

struct BlockIQ4_NL {  // 32 numbers: d * table[code]
  uint16_t d;
  uint8_t qs[16];
};

// 256 numbers in 8 sub-blocks of 32: d * (scale - 32) * table[code], scale of 6 bits.
struct BlockIQ4_XS {
  uint16_t d;
  uint16_t scales_h;  // the high 2 bits
  uint8_t scales_l[4];
  uint8_t qs[128];
};

struct BlockMXFP4 {  // 32 numbers: 2^(e - 128) * table[code]
  uint8_t e;
  uint8_t qs[16];
};

struct BlockNVFP4 {  // 4 times 16 numbers: d / 2 * table[code], d a float of 8 bits
  uint8_t d[4];
  uint8_t qs[32];
};

// Numbers by fours or eights are points of a grid (code_grids.h), with signs: 256 in 8 sub-blocks
// of 32, or 16 of 16, with a scale of 3 or 4 bits each.

struct BlockIQ2_XXS {  // d / 8 * (2 scale + 1) * point
  uint16_t d;
  uint8_t qs[64];  // of each 32 numbers: 4 points; then 4 times 7 signs and the scale in 32 bits
};

struct BlockIQ2_XS {
  uint16_t d;
  uint8_t qs[64];  // 16 bits each: a point of 9 bits and 7 signs
  uint8_t scales[8];
};

struct BlockIQ2_S {
  uint16_t d;
  uint8_t qs[32];
  uint8_t signs[32];
  uint8_t qh[8];  // bits 8 and 9 of the points
  uint8_t scales[8];
};

struct BlockIQ3_XXS {  // d / 4 * (2 scale + 1) * point
  uint16_t d;
  uint8_t qs[64];
  uint8_t signs_and_scales[32];  // of each 32 numbers: 4 times 7 signs and the scale in 32 bits
};

struct BlockIQ3_S {  // d * (2 scale + 1) * point
  uint16_t d;
  uint8_t qs[64];
  uint8_t qh[8];  // bit 8 of the points
  uint8_t signs[32];
  uint8_t scales[4];
};

// d * (2 scale + 1) * (point + delta), delta 1/8 or -1/8.

struct BlockIQ1_S {
  uint16_t d;
  uint8_t qs[32];
  uint16_t qh[8];  // of each 32 numbers: 4 times the points' bits 8 to 10, the scale, delta's sign
};

struct BlockIQ1_M {
  uint8_t qs[32];
  uint8_t qh[16];      // of each 8 numbers: the point's bits 8 to 10, delta's sign
  uint16_t scales[4];  // 4 times 3 bits, and 4 bits of d
};

struct BlockTQ1_0 {  // 256 numbers: d * (code - 1), code 0, 1 or 2
  uint8_t qs[48];    // 5 codes a byte: as a fraction of 256 in base 3
  uint8_t qh[4];     // 4 codes a byte
  uint16_t d;
};

struct BlockTQ2_0 {  // 256 numbers: d * (code - 1), code of 2 bits
  uint8_t qs[64];
  uint16_t d;
};

struct BlockQ1_0 {  // 128 numbers: d or -d
  uint16_t d;
  uint8_t qs[16];
};

struct BlockQ2_0 {  // 64 numbers: d * (code - 1), code of 2 bits
  uint16_t d;
  uint8_t qs[16];
};

static_assert(sizeof(BlockQ4_0) == 18);
static_assert(sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210);
static_assert(sizeof(BlockQ2_K) == 84);
static_assert(sizeof(BlockQ3_K) == 110);
static_assert(sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockIQ4_XS) == 136);
static_assert(sizeof(BlockMXFP4) == 17);
static_assert(sizeof(BlockNVFP4) == 36);
static_assert(sizeof(BlockIQ2_XXS) == 66);
static_assert(sizeof(BlockIQ2_XS) == 74);
static_assert(sizeof(BlockIQ2_S) == 82);
static_assert(sizeof(BlockIQ3_XXS) == 98);
static_assert(sizeof(BlockIQ3_S) == 110);
static_assert(sizeof(BlockIQ1_S) == 50);
static_assert(sizeof(BlockIQ1_M) == 56);
static_assert(sizeof(BlockTQ1_0) == 54);
static_assert(sizeof(BlockTQ2_0) == 66);
static_assert(sizeof(BlockQ1_0) == 18);
static_assert(sizeof(BlockQ2_0) == 18);

struct TypeTraits {
  const char* name;
  int block_size;   // numbers in a block
  int block_bytes;  // bytes of a block
};

// Null for a type this program does not read.
const TypeTraits* type_traits(uint32_t type_id);

// Bytes of a row of n_in numbers, n_in a multiple of the block size.
size_t row_bytes(TensorType type, size_t n_in);

}  // namespace gpt2edge
